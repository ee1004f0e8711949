import { arbitrationIdOf, formatId, isErrorWord, isRemoteWord } from "@canfleet/sdk/browser";
import { formatCount, formatThreeDigits, UNKNOWN } from "./format.ts";
import type { IdRow } from "./id-rows.ts";

/** A column of text; the data column is drawn byte by byte. */
export interface IdColumn {
  name: string;
  title: string;
  text(row: IdRow, nowMs: number): string;
  /** Ascending order. */
  compare(a: IdRow, b: IdRow, nowMs: number): number;
}

export const ID_COLUMNS: readonly IdColumn[] = [
  { name: "id", title: "ID", text: (row) => formatId(row.idWord), compare: byId },
  {
    name: "dir",
    title: "Dir",
    text: (row) => (row.isOwn ? "TX" : "RX"),
    compare: (a, b) => Number(a.isOwn) - Number(b.isOwn),
  },
  {
    name: "hz",
    title: "Hz",
    text: (row, nowMs) => {
      const hz = row.hz(nowMs);
      return hz === 0 ? UNKNOWN : formatThreeDigits(hz);
    },
    compare: (a, b, nowMs) => a.hz(nowMs) - b.hz(nowMs),
  },
  { name: "count", title: "Count", text: (row) => formatCount(row.count), compare: (a, b) => a.count - b.count },
  {
    name: "dt",
    title: "Δt ms",
    text: (row) => (row.dtMs === undefined ? UNKNOWN : formatThreeDigits(row.dtMs)),
    compare: (a, b) => (a.dtMs ?? 0) - (b.dtMs ?? 0),
  },
  { name: "len", title: "Len", text: (row) => `${row.length}`, compare: (a, b) => a.length - b.length },
];

/** By id, extended ids after the others; what the host sent after what it received. */
export function byId(a: IdRow, b: IdRow): number {
  return (
    formatId(a.idWord).length - formatId(b.idWord).length ||
    arbitrationIdOf(a.idWord) - arbitrationIdOf(b.idWord) ||
    a.key - b.key
  );
}

/** What stands in place of data bytes; empty for a data frame with data. */
export function dataNote(row: IdRow): string {
  if (isErrorWord(row.idWord)) return "error frame ";
  return isRemoteWord(row.idWord) ? "remote request" : "";
}
