import { readFileSync, writeFileSync } from "node:fs";
import type { Machine } from "./machine.ts";
import { toMarkdown, type Table } from "./results.ts";

/** What one rig gave. */
export interface RigResult {
  rig: "shim" | "vcan";
  repeats: number;
  tables: Table[];
  failures: string[];
}

export interface Report {
  machine: Machine;
  /** Peers that were not there, and rigs that could not be had. */
  remarks: string[];
  rigs: RigResult[];
}

const BEGIN = "<!-- figures: written by npm run bench -- --write -->";
const END = "<!-- end of figures -->";

const TITLES = {
  shim: "Native, CAN over UDP sockets",
  vcan: "SocketCAN itself (vcan) in a user-mode kernel: one CPU, system calls 5 to 50 times dearer",
};

/** Where and when it was measured, in two lines. */
export function machineText(machine: Machine): [where: string, what: string] {
  const { cpu, cores, memoryGb, kernel, node, commit, isModified, load, date } = machine;
  return [
    `${cores} × ${cpu}, ${memoryGb} GB, Linux ${kernel}, Node ${node}`,
    `commit ${commit}${isModified ? " with changes" : ""}, ${date} UTC, load ${load.toFixed(1)} at the start`,
  ];
}

/** The whole report in Markdown. */
export function reportMarkdown({ machine, remarks, rigs }: Report): string {
  const parts = [`${machineText(machine).join("; ")}.`, ...remarks.map((remark) => `- ${remark}`)];
  for (const { rig, repeats, tables, failures } of rigs) {
    parts.push(`### ${TITLES[rig]}`, `Medians of ${repeats}, (least–most), **× the first row's of the same repeat**.`);
    parts.push(...tables.map(toMarkdown), ...failures.map((failure) => `- failed: ${failure}`));
  }
  return `${parts.join("\n\n")}\n`;
}

/** Puts the report between the two marks of a document. */
export function writeInto(file: string, report: Report): void {
  const text = readFileSync(file, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no place for the figures`);
  const filled = `${text.slice(0, begin + BEGIN.length)}\n\n${reportMarkdown(report)}\n${text.slice(end)}`;
  writeFileSync(file, filled);
}
