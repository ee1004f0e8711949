import { formatAge } from "./ages.ts";
import type { BusStatus, SpoolStatus } from "./fleet-messages.ts";
import type { EdgeView } from "./fleet-view.ts";

/** A bus of the fleet as `ls` shows it; undefined is not known. */
export interface FleetRow {
  bus: string;
  state: string;
  bitrate: number | undefined;
  loadPercent: number | undefined;
  framesPerSecond: number | undefined;
  /** Frames lost by place; null: not known. */
  lost: { readonly [place: string]: number | null } | undefined;
  clock: string | undefined;
  /** The edge's wall clock less the hub's, µs. */
  clockOffsetUs: number | undefined;
  /** How often somebody has set it. */
  clockSteps: number | undefined;
  /** null: the edge has none. */
  spool: SpoolStatus | null | undefined;
  driver: string | undefined;
  /** Age of what is shown, ms. */
  ageMs: number | undefined;
}

/** A status comes each second: without one for this long it says nothing about now, ms. */
const STALE_MS = 5_000;

/** One row a bus, sorted by name; an edge without a bus has a row of its own. */
export function fleetRows(edges: ReadonlyMap<string, EdgeView>, pattern: string, nowMs: number): FleetRow[] {
  const [edgeWanted = "+", busWanted = "+"] = pattern.split("/");
  const rows: FleetRow[] = [];
  for (const [name, edge] of edges) {
    if (edgeWanted !== "+" && edgeWanted !== name) continue;
    if (edge.buses.size === 0 && busWanted === "+") rows.push(edgeRow(name, edge, nowMs));
    for (const [bus, status] of edge.buses) {
      if (busWanted === "+" || busWanted === bus) rows.push(busRow(`${name}/${bus}`, edge, status, nowMs));
    }
  }
  return rows.sort((a, b) => (a.bus < b.bus ? -1 : 1));
}

function edgeRow(name: string, edge: EdgeView, nowMs: number): FleetRow {
  return { ...busRow(`${name}/-`, edge, undefined, nowMs), state: edge.state?.online ? "no bus" : "offline" };
}

function busRow(bus: string, edge: EdgeView, status: BusStatus | undefined, nowMs: number): FleetRow {
  const timestampUs = status?.timestampUs ?? edge.state?.timestampUs;
  const ageMs = timestampUs === undefined ? undefined : Math.max(0, nowMs - timestampUs / 1000);
  const state = stateWord(edge, status, ageMs);
  return {
    bus,
    state,
    bitrate: status?.bitrate,
    lost: status && Object.fromEntries(status.lost),
    clock: edge.info?.clock,
    // What a bus that nobody hears said last is of another time.
    ...nowOf(state === "offline" || state === "stale" ? undefined : status),
    driver: status?.driver,
    ageMs,
  };
}

/** @param status undefined: nothing is known of now */
function nowOf(
  status: BusStatus | undefined,
): Pick<FleetRow, "loadPercent" | "framesPerSecond" | "clockOffsetUs" | "clockSteps" | "spool"> {
  return {
    loadPercent: status?.loadPercent,
    framesPerSecond: status?.framesPerSecond,
    clockOffsetUs: status?.clockOffsetUs,
    clockSteps: status?.clockSteps,
    spool: status && (status.spool ?? null),
  };
}

function stateWord(edge: EdgeView, status: BusStatus | undefined, ageMs: number | undefined): string {
  if (edge.state?.online === false) return "offline";
  if (!status) return "unknown";
  if (ageMs !== undefined && ageMs > STALE_MS) return "stale";
  if (status.state !== undefined && status.state !== "up") return status.state;
  if (status.busState === "bus-off") return "bus-off";
  if (status.busState === "error-passive") return "passive";
  return (status.framesPerSecond ?? 0) > 0 ? "live" : "quiet";
}

const HEADINGS = ["EDGE/BUS", "STATE", "BITRATE", "LOAD", "FRAMES/S", "DROPS", "CLOCK", "SPOOL", "LAST"];
/** Numbers stand below each other. */
const RIGHT = new Set([2, 3, 4, 5]);

/** The table of `ls`, with headings. */
export function formatFleet(rows: readonly FleetRow[]): string {
  const cells = [HEADINGS, ...rows.map(rowCells)];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row.map((cell, column) => (RIGHT.has(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))),
  );
  return lines.map((line) => `${line.join("  ").trimEnd()}\n`).join("");
}

function rowCells(row: FleetRow): string[] {
  return [
    row.bus,
    row.state,
    row.bitrate === undefined ? "-" : formatBitrate(row.bitrate),
    row.loadPercent === undefined ? "-" : `${Math.round(row.loadPercent)}%`,
    row.framesPerSecond === undefined ? "-" : formatCount(Math.round(row.framesPerSecond)),
    formatLost(row.lost),
    formatClock(row),
    formatSpool(row.spool),
    row.ageMs === undefined ? "-" : formatAge(row.ageMs),
  ];
}

/** `500k`, `83.333k`, `1M` */
function formatBitrate(bitrate: number): string {
  return bitrate >= 1e6 ? `${bitrate / 1e6}M` : `${Number((bitrate / 1e3).toFixed(3))}k`;
}

/** `2 644`: groups of three, as in ISO 80000-1. */
function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** What is known, and a ? where there is more that nobody can count. */
function formatLost(lost: FleetRow["lost"]): string {
  if (!lost) return "-";
  const frames = Object.values(lost);
  const known = frames.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  if (!frames.includes(null)) return formatCount(known);
  return known === 0 ? "?" : `${formatCount(known)}+?`;
}

/** How far from the hub's the edge's clock is, `+0.3ms`, `-3.2s`, and whether somebody has set it; else what it says of it. */
function formatClock({ clock, clockOffsetUs, clockSteps = 0 }: FleetRow): string {
  const text = clockOffsetUs === undefined ? (clock ?? "-") : formatOffset(clockOffsetUs);
  return clockSteps > 0 ? `${text}, set` : text;
}

function formatOffset(offsetUs: number): string {
  const sign = offsetUs < 0 ? "-" : "+";
  const us = Math.abs(offsetUs);
  if (us < 1e6) return `${sign}${(us / 1e3).toFixed(us < 1e4 ? 1 : 0)}ms`;
  return `${sign}${(us / 1e6).toFixed(us < 1e8 ? 1 : 0)}s`;
}

/** `off`, `on` with nothing in it, how much lies on disk, or what is wrong. */
function formatSpool(spool: FleetRow["spool"]): string {
  if (!spool) return spool === null ? "off" : "-";
  if (spool.state !== "ok") return spool.state;
  const size = spool.bytes === 0 ? "on" : formatBytes(spool.bytes);
  return spool.dropping ? `${size}, drops` : size;
}

/** `640kB`, `12.3MB` */
function formatBytes(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)}kB` : `${(bytes / 1e6).toFixed(1)}MB`;
}
