import type { BusSpec } from "@canfleet/edge";
import { CanfleetError } from "@canfleet/sdk";
import { formatAge } from "./ages.ts";
import { shownHubs, type ClientHub } from "./client-settings.ts";
import { FleetView } from "./fleet-view.ts";
import { UsageError } from "./usage-error.ts";

/** @throws UsageError for a bus that cannot be sent to: it would be several */
export function assertOneBus({ place, text }: BusSpec): void {
  const several = place.kind === "hub" && (place.edge === "+" || place.bus === "+");
  if (several) throw new UsageError(`${text}: sending needs one bus`);
}

/**
 * Looks at what the edge says of itself before anything is sent to it: a frame for an edge that is not there, or does
 * not take it, is not worth waiting for.
 *
 * @throws CanfleetError `LINK_UNREACHABLE` when the edge is not there, `SEND_DENIED` when it takes none from clients
 */
export async function assertTakesFrames({ place, text }: BusSpec, hub: ClientHub): Promise<void> {
  if (place.kind !== "hub") return;
  const view = await FleetView.open(hub, place.edge);
  await view.close();
  const edge = view.edges.get(place.edge);
  if (!edge?.state) throw unreachable(`${text}: hub ${shownHubs(hub.urls)} knows no edge ${place.edge}`);
  if (!edge.state.online) throw unreachable(`${text}: the edge is offline${lastSeen(edge.state.timestampUs)}`);
  if (edge.info && !edge.info.buses.has(place.bus)) {
    const known = [...edge.info.buses.keys()].join(", ");
    throw unreachable(`${text}: the edge has no bus ${place.bus}${known === "" ? "" : `, but ${known}`}`);
  }
  const rule = edge.info?.buses.get(place.bus)?.send;
  if (rule === "none" || rule === "link") {
    const cure = "its operator can allow them with --send all, or --send ID,…";
    throw new CanfleetError(
      "SEND_DENIED",
      `${text}: the edge takes no frames from hub clients (send: ${rule}); ${cure}`,
    );
  }
}

function unreachable(sentence: string): CanfleetError {
  return new CanfleetError("LINK_UNREACHABLE", `${sentence}; nothing was sent`, { retryable: true });
}

function lastSeen(timestampUs: number | undefined): string {
  return timestampUs === undefined ? "" : ` (since ${formatAge(Date.now() - timestampUs / 1000)})`;
}
