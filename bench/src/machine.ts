import { spawnSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { ROOT_FOLDER } from "./paths.ts";

/** Where and of what a run was made. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  kernel: string;
  node: string;
  commit: string;
  /** Whether the working tree differed from the commit. */
  isModified: boolean;
  /** Load average of the last minute when the run began. */
  load: number;
  date: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    commit: git("rev-parse", "--short", "HEAD"),
    isModified: git("status", "--porcelain", "--untracked-files=no") !== "",
    load: loadavg()[0] ?? 0,
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
  };
}

function git(...args: string[]): string {
  return spawnSync("git", ["-C", ROOT_FOLDER, ...args], { encoding: "utf8" }).stdout.trim();
}
