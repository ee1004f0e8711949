import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT_FOLDER } from "./paths.ts";
import type { RigResult } from "./report.ts";

const UML_RUN = join(ROOT_FOLDER, "test", "lab", "uml-run");
const MAIN = fileURLToPath(new URL("main.js", import.meta.url));
const LIMIT_SECONDS = 3600;
const BUSES = 8;

/** Whether this kernel has CAN interfaces vcan0 and up itself. */
export function hasVcan(): boolean {
  return spawnSync("ip", ["link", "show", "vcan0"]).status === 0;
}

/**
 * Runs the bench in a guest whose kernel has SocketCAN, on vcan, with the same arguments.
 *
 * @returns its result, or in a sentence why there is none
 */
export function runInGuest(args: readonly string[]): RigResult | string {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-bench-"));
  const json = join(folder, "vcan.json");
  try {
    const command = [process.execPath, MAIN, ...args, "--rig", "vcan", "--json", json];
    const lab = ["-n", `${BUSES}`, "-m", "2G", "-t", `${LIMIT_SECONDS}`, "--", ...command];
    const { status, error } = spawnSync(UML_RUN, lab, { stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0)
      return `no figures with a kernel's own CAN: the guest ended with ${error?.message ?? `code ${status}`}`;
    return (JSON.parse(readFileSync(json, "utf8")) as { rigs: RigResult[] }).rigs[0]!;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
