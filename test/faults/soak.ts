/**
 * Hub and edges at full load for as long as is asked, with a fault a minute, and an account of every frame:
 *
 *     npm run soak -- [--minutes 30] [--seed 7] [--every 60] [--batches 500] [--no-cases]
 *
 * The same seed makes the same faults in the same order. Afterwards the long forms of all other cases run (SOAK=1),
 * unless told not to. Ends with 1 when a frame is unexplained, came twice or out of order, a descriptor is left open, or
 * (from 30 minutes on) memory grows.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Soak } from "./soak-run.ts";

const RUNNER = fileURLToPath(new URL("../../run.mjs", import.meta.url));

function numberOption(name: string, text: string, least: number): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= least) return value;
  process.stderr.write(`soak: --${name}: expected a number from ${least} on, got ${JSON.stringify(text)}\n`);
  process.exit(2);
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    seed: { type: "string", default: "7" },
    every: { type: "string", default: "60" },
    batches: { type: "string", default: "500" },
    "no-cases": { type: "boolean", default: false },
  },
});

const soak = new Soak({
  minutes: numberOption("minutes", values.minutes, 0.1),
  seed: numberOption("seed", values.seed, 0),
  everySeconds: numberOption("every", values.every, 1),
  batchesPerSecond: numberOption("batches", values.batches, 1),
});
let failed = !(await soak.run());
if (!values["no-cases"]) {
  const { status } = spawnSync(process.execPath, [RUNNER, "test/dist/faults"], {
    stdio: "inherit",
    env: { ...process.env, SOAK: "1" },
  });
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
