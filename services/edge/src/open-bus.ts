import {
  CanfleetError,
  isBusName,
  isEdgeName,
  MqttBus,
  parseFilters,
  TCPBus,
  type Bus,
  type CanFilter,
  type HubLogin,
  type HubTlsSource,
  type HubUrls,
  type LinkSecurity,
} from "@canfleet/sdk";
import { localBusName } from "./host.ts";
import { LocalBus, type SendGuard } from "./local-bus.ts";
import { openCanInterface } from "./open-interface.ts";

/** Where a bus is. */
export type BusPlace =
  | { kind: "hub"; edge: string; bus: string }
  | { kind: "local"; channel: string }
  | { kind: "listen"; port: number; tls?: true }
  | { kind: "dial"; host: string; port: number; tls?: true };

/** A bus as it is named on the command line and in bridges, read. */
export interface BusSpec {
  /** As it was written, without filters. */
  text: string;
  place: BusPlace;
  /** The name that is the same for all who mean this bus. */
  globalName: string;
  filters: CanFilter[];
}

export interface OpenBusOptions {
  /** Where the hub for `edge/bus` is. */
  hub: HubUrls | undefined;
  /** For a hub at `mqtts://` or `wss://`. */
  tls?: HubTlsSource | undefined;
  base: string;
  /** Who to be at the hub. Default: not said. */
  login?: HubLogin;
  /** For raw links: `tls` for those at `tls:`, `token` for all. Default: nothing is asked. */
  link?: LinkSecurity | undefined;
  /** In what order frames come through the hub, as `MqttBus` takes it. Default "live". */
  order?: "live" | "complete";
  log: (text: string) => void;
  onEnd?: () => void;
  /** For a raw link that listens: wait until an edge has connected. Default false. */
  waitForEdge?: boolean;
  /** Who decides what may be sent on a bus of this machine. Default: everything may. */
  guard?: ((channel: string) => SendGuard) | undefined;
}

const WANTED =
  "EDGE/BUS, an interface such as can0, sim:NAME, play:FILE, tcp:PORT, tcp:HOST:PORT, tls:PORT or tls:HOST:PORT";

/**
 * Reads `EDGE/BUS` (`+` for any), `can0`, `sim:NAME`, `play:FILE`, `tcp:PORT`, `tcp:HOST:PORT`, the same with `tls:`, or
 * `any` (every bus of the hub), with candump filters behind it after commas.
 *
 * @throws CanfleetError `CONFIG_INVALID` saying what was wanted
 */
export function parseBusSpec(text: string): BusSpec {
  const comma = text.startsWith("play:") ? -1 : text.indexOf(",");
  const name = comma < 0 ? text : text.slice(0, comma);
  const place = parsePlace(name);
  if (!place) throw new CanfleetError("CONFIG_INVALID", `bus ${JSON.stringify(name)}: expected ${WANTED}`);
  return {
    text: name,
    place,
    globalName: globalNameOf(place),
    filters: comma < 0 ? [] : readFilters(text.slice(comma + 1)),
  };
}

function readFilters(text: string): CanFilter[] {
  try {
    return parseFilters(text);
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", (error as Error).message, { cause: error });
  }
}

function parsePlace(name: string): BusPlace | undefined {
  if (name === "any") return { kind: "hub", edge: "+", bus: "+" };
  if (name.startsWith("tcp:")) return parseTcp(name.slice("tcp:".length), {});
  if (name.startsWith("tls:")) return parseTcp(name.slice("tls:".length), { tls: true });
  if (name.startsWith("sim:"))
    return isBusName(name.slice("sim:".length)) ? { kind: "local", channel: name } : undefined;
  if (name.startsWith("play:")) return { kind: "local", channel: name };
  const [edge = "", bus, ...rest] = name.split("/");
  if (bus === undefined) return isBusName(name) ? { kind: "local", channel: name } : undefined;
  const valid = rest.length === 0 && (edge === "+" || isEdgeName(edge)) && (bus === "+" || isBusName(bus));
  return valid ? { kind: "hub", edge, bus } : undefined;
}

function parseTcp(address: string, tls: { tls?: true }): BusPlace | undefined {
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (!match || port > 65_535) return undefined;
  const host = match[1]?.replace(/^\[(.*)\]$/, "$1");
  return host === undefined ? { kind: "listen", port, ...tls } : { kind: "dial", host, port, ...tls };
}

function globalNameOf(place: BusPlace): string {
  switch (place.kind) {
    case "hub":
      return `${place.edge}/${place.bus}`;
    case "local":
      return localBusName(place.channel);
    case "listen":
      return localBusName(`tcp:${place.port}`);
    case "dial":
      return `tcp:${place.host}:${place.port}`;
  }
}

/**
 * Opens a bus, wherever it is.
 *
 * @throws CanfleetError `CAN_*`, `HUB_*`, `LINK_*`, or `CONFIG_INVALID` when a hub is needed and none is known
 */
export async function openBus(spec: BusSpec, options: OpenBusOptions): Promise<Bus> {
  const { place, filters } = spec;
  switch (place.kind) {
    case "hub": {
      if (options.hub === undefined)
        throw new CanfleetError("CONFIG_INVALID", `bus ${spec.text}: say where the hub is`);
      const { hub, base, login, tls, order } = options;
      const where = { edge: place.edge, bus: place.bus, base, filters };
      return MqttBus.connect(hub, { ...login, ...where, tls, ...(order && { order }) });
    }
    case "local":
      return LocalBus.open(openCanInterface({ channel: place.channel }), {
        filters,
        onWarning: options.log,
        onLink: (state, reason) => options.log(`${place.channel}: interface ${state} (${reason})`),
        ...(options.onEnd ? { onEnd: options.onEnd } : {}),
        guard: options.guard?.(place.channel),
      });
    case "listen":
      return TCPBus.listen(place.port, { ...securityOf(place, options), filters, wait: options.waitForEdge ?? false });
    case "dial":
      return TCPBus.connect(place.host, place.port, { ...securityOf(place, options), filters });
  }
}

/** With what says why a raw link does not come about. */
function securityOf(
  place: { kind: "listen" | "dial"; tls?: true },
  { link = {}, log }: OpenBusOptions,
): LinkSecurity & { log: typeof log } {
  const { ca, ...own } = link.tls ?? {};
  // The authority is for hubs and edges that are dialled: who listens does not ask for certificates because of it.
  const tls = place.kind === "listen" ? own : { ...own, ca };
  return { ...(place.tls && { tls }), token: link.token, log };
}
