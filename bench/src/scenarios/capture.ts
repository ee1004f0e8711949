import type { BenchRun } from "../bench-run.ts";
import { CapturePath, startCandump, startCapture, type Reader } from "../capture-path.ts";
import { findCeiling } from "../link-ceiling.ts";
import { WARM_UP } from "../link-path.ts";
import type { Measures } from "../results.ts";
import type { Rig } from "../rig.ts";

const RATES = [8000, 1000];
const SATURATED_MS = 1500;

type Start = (rig: Rig) => Reader | Promise<Reader>;

/** Reading a bus and nothing else: what a relay can be at best. */
export async function captureScenario(run: BenchRun): Promise<void> {
  const { candump } = run.options.peers;
  const readers: [name: string, start: Start][] = [["npm socketcan", (rig) => startCapture(rig, "socketcan")]];
  if (candump !== undefined) readers.push(["candump -L", (rig) => startCandump(rig, candump)]);
  readers.push(
    ["edge's driver, at once", (rig) => startCapture(rig, "native", 0)],
    ["edge's driver, 1 ms gathered", (rig) => startCapture(rig, "native", 1)],
  );
  await run.compete(readers.map(([name, start]) => ({ name, measure: () => measure(run, start) })));
}

async function measure(run: BenchRun, start: Start): Promise<{ [table: string]: Measures }> {
  const rig = run.newRig();
  const path = new CapturePath(rig, await start(rig));
  try {
    await path.untilReading();
    await path.pass(WARM_UP);
    const tables: { [table: string]: Measures } = {};
    for (const rate of RATES) {
      const { fed, app, cpuUs, peakBytes } = await path.pass({ rate, ms: run.options.feedMs });
      tables[`capture at ${rate.toLocaleString("en-US")} frames/s`] = {
        lostShare: (100 * (fed.sent - app.frames)) / fed.sent,
        ...(run.options.rig === "shim" && { readerUs: cpuUs / fed.sent }),
        peakMb: peakBytes / 1e6,
      };
    }
    const { fed, app, cpuUs } = await path.pass({ rate: 0, ms: SATURATED_MS });
    tables["capture, saturated"] = {
      taken: app.frames / fed.seconds,
      lostShare: (100 * (fed.sent - app.frames)) / fed.sent,
      ...(run.options.rig === "shim" && { readerUs: cpuUs / app.frames }),
      lossless: await findCeiling(path),
    };
    return tables;
  } finally {
    await path.stop();
  }
}
