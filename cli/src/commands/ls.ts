import { isBusName, isEdgeName } from "@canfleet/sdk";
import { clientHub, hubFlags, shownHubs, type ClientHub } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { EXIT_DONE, exitCodeOfStop } from "../exit-codes.ts";
import { fleetRows, formatFleet, type FleetRow } from "../fleet-table.ts";
import { FleetView } from "../fleet-view.ts";
import { sleep } from "../sleep.ts";
import type { LS } from "../table/look.ts";
import { UsageError } from "../usage-error.ts";

/** How often the table is drawn again. */
const WATCH_MS = 1_000;
/** Cursor home, table, erase what is below: no flicker of an empty screen. */
const HOME = "\u001b[H";
const ERASE_BELOW = "\u001b[J";
const ERASE_ALL = "\u001b[2J";

/** `canfleet ls` */
export async function runLs({ options, positionals }: Arguments<typeof LS>, context: Context): Promise<number> {
  const { terminal, interruption } = context;
  const pattern = checkedPattern(positionals[0] ?? "+");
  const hub = await clientHub(options, context);
  const view = await FleetView.open(hub, pattern.split("/")[0]);
  try {
    if (!options.watch) {
      const rows = fleetRows(view.edges, pattern, Date.now());
      show(rows, options.json, context);
      if (rows.length === 0) terminal.say(nothing(pattern, hub));
      return EXIT_DONE;
    }
    const redraw = terminal.columns !== undefined && !options.json;
    if (redraw) terminal.write(ERASE_ALL);
    while (!interruption.signal.aborted) {
      if (redraw) terminal.write(HOME);
      show(fleetRows(view.edges, pattern, Date.now()), options.json, context);
      if (redraw) terminal.write(ERASE_BELOW);
      await sleep(WATCH_MS, interruption.signal);
    }
    return exitCodeOfStop(interruption.reason);
  } finally {
    await view.close();
  }
}

function checkedPattern(pattern: string): string {
  const [edge = "", bus = "+", ...more] = pattern.split("/");
  const known = (edge === "+" || isEdgeName(edge)) && (bus === "+" || isBusName(bus)) && more.length === 0;
  if (!known) throw new UsageError(`"${pattern}": expected an edge, edge/bus or +/bus`, "ls");
  return pattern;
}

function show(rows: readonly FleetRow[], json: boolean, { terminal }: Context): void {
  terminal.write(json ? rows.map((row) => `${rowJson(row)}\n`).join("") : formatFleet(rows));
}

/** null is not known, as everywhere on the wire. */
function rowJson(row: FleetRow): string {
  return JSON.stringify({
    bus: row.bus,
    state: row.state,
    bitrate: row.bitrate ?? null,
    loadPercent: row.loadPercent ?? null,
    framesPerSecond: row.framesPerSecond ?? null,
    lost: row.lost ?? null,
    clock: row.clock ?? null,
    clockOffsetUs: row.clockOffsetUs ?? null,
    clockSteps: row.clockSteps ?? null,
    spool: row.spool ?? null,
    driver: row.driver ?? null,
    ageMs: row.ageMs === undefined ? null : Math.round(row.ageMs),
  });
}

function nothing(pattern: string, { urls }: ClientHub): string {
  const shown = shownHubs(urls);
  if (pattern === "+") return `no edge on ${shown} yet; start one: canfleet edge can0 ${hubFlags(urls)}`;
  return `nothing on ${shown} matches ${pattern}`;
}
