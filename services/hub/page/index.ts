import { element } from "./dom.ts";
import { fetchFleet, fetchSession, type FleetAnswer } from "./fleet-api.ts";
import { FleetList } from "./fleet-list.ts";
import { formatCount } from "./format.ts";
import { Monitor } from "./monitor.ts";

/** How often the fleet is asked for, ms: edges report each second. */
const FLEET_PERIOD_MS = 1_000;

const fleetList = new FleetList();
const connectionBar = element("connection");
const reached = { fleet: true, frames: true };
let fleet: FleetAnswer | undefined;
let lastFleetAt: Date | undefined;

const monitor = new Monitor((isConnected) => {
  reached.frames = isConnected;
  drawConnection();
});

/** The bus in the address, `#/edge/bus`; else the first one there is. */
function wantedBus(): string | undefined {
  const match = /^#\/([^/]+)\/([^/]+)$/.exec(location.hash);
  if (match) return `${match[1]!}/${match[2]!}`;
  const edge = fleet?.edges.find(({ buses }) => buses.length > 0);
  return edge ? `${edge.edge}/${edge.buses[0]!.bus}` : undefined;
}

function draw(): void {
  if (!fleet) return;
  monitor.choose(wantedBus() ?? monitor.chosen, fleet.base);
  fleetList.draw(fleet, monitor.chosen);
  element("totals").textContent = totals(fleet);
}

function totals({ edges, hub }: FleetAnswer): string {
  const online = edges.filter(({ state }) => state === "online").length;
  const parts = [`${online} of ${edges.length} ${edges.length === 1 ? "edge" : "edges"} online`];
  if (hub) parts.push(`${formatCount(hub.droppedMessages)} messages dropped for slow readers`);
  return parts.join(" · ");
}

function drawConnection(): void {
  const lost = connectionProblem();
  document.body.classList.toggle("stale", lost !== "");
  connectionBar.hidden = lost === "";
  if (connectionBar.textContent !== lost) connectionBar.textContent = lost;
}

function connectionProblem(): string {
  if (!reached.fleet || !reached.frames) {
    const since = lastFleetAt ? ` Showing data from ${lastFleetAt.toLocaleTimeString("en-GB")}.` : "";
    return `Connection to the hub lost, trying again.${since}`;
  }
  return fleet && !fleet.brokerConnected ? "The hub has no connection to its broker: the fleet below is old." : "";
}

async function refresh(): Promise<void> {
  try {
    fleet = await fetchFleet();
    lastFleetAt = new Date();
    reached.fleet = true;
  } catch {
    reached.fleet = false;
  }
  draw();
  drawConnection();
}

async function showSession(): Promise<void> {
  const { name, role } = await fetchSession();
  element("session").hidden = name === null;
  element("who").textContent = name === null ? "" : `${name} (${role ?? ""})`;
}

async function keepRefreshing(): Promise<void> {
  for (;;) {
    await refresh();
    await new Promise((resolve) => setTimeout(resolve, FLEET_PERIOD_MS));
  }
}

addEventListener("hashchange", draw);
addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.closest("input, button, a")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (event.key === " ") {
    event.preventDefault();
    monitor.togglePause();
  } else if (event.key === "/") {
    event.preventDefault();
    element("filter").focus();
  }
});
void keepRefreshing();
// Without an answer there is no fleet either, which is told already.
showSession().catch(() => undefined);
