import { isBusName, isEdgeName, isErrorWord, parseFilters, passesFilters, type CanFilter } from "@canfleet/sdk";

/** Which frames somebody may ask to be sent, and where. */
export interface SendGrant {
  /** As it was written. */
  readonly text: string;
  /** Edge name, or "+" for every edge. */
  readonly edge: string;
  /** Bus name, or "+" for every bus. */
  readonly bus: string;
  /** Empty: all ids. */
  readonly ids: readonly CanFilter[];
}

/**
 * Reads `EDGE/BUS:IDS`: `pi-7/can0:123,200:7F0`, `pi-7/+:all`, `+/+:1F334455`. Eight digits mean the extended format.
 *
 * @throws RangeError naming what is wrong
 */
export function parseSendGrant(text: string): SendGrant {
  const [, edge = "", bus = "", idText = ""] = /^([^/:]*)\/([^/:]*):(.*)$/.exec(text) ?? [];
  const isPlace = (edge === "+" || isEdgeName(edge)) && (bus === "+" || isBusName(bus));
  if (!isPlace || idText.trim() === "") {
    throw new RangeError(`expected EDGE/BUS:IDS such as pi-7/can0:123,200:7F0 or +/+:all, got ${JSON.stringify(text)}`);
  }
  if (idText === "all") return { text, edge, bus, ids: [] };
  const ids = parseFilters(idText);
  if (ids.length === 0) throw new RangeError(`expected ids behind the colon, got ${JSON.stringify(text)}`);
  if (ids.some((filter) => filter.inverted)) throw new RangeError("a grant names what may be sent: no ~ in it");
  return { text, edge, bus, ids };
}

/** Whether any frame at all may be asked for there. */
export function grantsBus(grants: readonly SendGrant[], edge: string, bus: string): boolean {
  return grants.some((grant) => covers(grant, edge, bus));
}

/** Whether a frame with this id word may be asked for there. Error frames never may. */
export function grantsFrame(grants: readonly SendGrant[], edge: string, bus: string, idWord: number): boolean {
  if (isErrorWord(idWord)) return false;
  return grants.some((grant) => covers(grant, edge, bus) && passesFilters(grant.ids, idWord));
}

function covers(grant: SendGrant, edge: string, bus: string): boolean {
  return (grant.edge === "+" || grant.edge === edge) && (grant.bus === "+" || grant.bus === bus);
}
