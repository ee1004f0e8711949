import type { BenchRun } from "../bench-run.ts";
import { startHub } from "../broker.ts";
import type { Child } from "../child.ts";
import { LinkPath, startApp, startEdge, untilPassing, WARM_UP, type Passage } from "../link-path.ts";
import { costOf } from "../process-cost.ts";
import type { AppReport } from "../frame-meter.ts";
import type { Measures } from "../results.ts";
import type { Rig } from "../rig.ts";
import { pacedMeasures } from "./link.ts";

const RATES = [8000, 1000];
const BUSES = 8;
const MINUTE_MS = 60_000;

/** Raw link and hub at once: what each adds to the other's latency. */
export async function togetherScenario(run: BenchRun): Promise<void> {
  await run.compete([
    { name: "raw link alone", measure: () => measure(run, false) },
    { name: "raw link and hub at once", measure: () => measure(run, true) },
  ]);
}

async function measure(run: BenchRun, withHub: boolean): Promise<{ [table: string]: Measures }> {
  const rig = run.newRig();
  const hub = withHub ? await startHub() : undefined;
  const { app, port } = await startApp({ tcp: true, mode: "batch" });
  const edge = await startEdge(rig, {
    name: "bench",
    ...(hub && { hub: `mqtt://127.0.0.1:${hub.port}` }),
    buses: [{ channel: rig.channel(), driver: "native", links: [{ host: "127.0.0.1", port }] }],
  });
  const path = new LinkPath(rig, [edge], app);
  const far = hub && (await startApp({ hub: `mqtt://127.0.0.1:${hub.port}`, mode: "batch" })).app;
  try {
    await untilPassing(path);
    await path.pass(WARM_UP);
    const tables: { [table: string]: Measures } = {};
    for (const rate of RATES) {
      await far?.ask("reset");
      const hubBefore = hub ? costOf([hub.pid]).cpuUs : 0;
      const passage = await path.pass({ rate, ms: run.options.feedMs });
      const at = `${rate.toLocaleString("en-US")} frames/s`;
      tables[`all at once at ${at}: raw link`] = pacedMeasures(run, passage);
      if (!far) continue;
      const hubUs = (costOf([hub.pid]).cpuUs - hubBefore) / passage.fed.sent;
      tables[`all at once at ${at}: through the hub`] = {
        ...farMeasures(await settled(far, passage), passage),
        ...(run.options.rig === "shim" && { hubUs }),
      };
    }
    return tables;
  } finally {
    await far?.stop();
    await path.stop();
    await hub?.stop();
  }
}

/** The hub's app has its last batch a moment after the raw link's. */
async function settled(far: Child, { fed }: Passage): Promise<AppReport> {
  for (let attempt = 0; attempt < 40; attempt++) {
    if ((await far.ask<{ frames: number }>("count")).frames >= fed.sent) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return far.ask<AppReport>("report");
}

function farMeasures(report: AppReport, { fed }: Passage): Measures {
  return {
    lostShare: (100 * (fed.sent - report.frames)) / fed.sent,
    p50: report.p50Us,
    p99: report.p99Us,
    p999: report.p999Us,
  };
}

/** Eight buses on one edge at 8,000 frames/s each, and one bus at 20,000 for a minute: no frame may be lost. */
export async function enduranceScenario(run: BenchRun): Promise<void> {
  // Once: it takes minutes, and its question is whether anything is lost.
  await run.compete([{ name: "edge → TCPBus", measure: () => endure(run) }], 1);
}

async function endure(run: BenchRun): Promise<{ [table: string]: Measures }> {
  const buses = Array.from({ length: BUSES }, (_, n) => n);
  const eight = await withBuses(run, BUSES, (path) => path.pass({ rate: 8000, ms: run.options.feedMs, buses }));
  const minute = await withBuses(run, 1, (path) => path.pass({ rate: 20_000, ms: MINUTE_MS }));
  return {
    "8 buses at 8,000 frames/s each": pacedMeasures(run, eight),
    "20,000 frames/s for a minute": pacedMeasures(run, minute),
  };
}

/** CAN FD with 64 bytes, against classic frames of 8. */
export async function fdScenario(run: BenchRun): Promise<void> {
  const pass = async (fd: boolean): Promise<{ [table: string]: Measures }> => ({
    "CAN FD at 8,000 frames/s": pacedMeasures(
      run,
      await withBuses(run, 1, (path) => path.pass({ rate: 8000, ms: run.options.feedMs, fd })),
    ),
  });
  await run.compete([
    { name: "classic, 8 bytes", measure: () => pass(false) },
    { name: "CAN FD, 64 bytes", measure: () => pass(true) },
  ]);
}

async function withBuses<T>(run: BenchRun, count: number, use: (path: LinkPath) => Promise<T>): Promise<T> {
  const rig = run.newRig();
  const { app, ports } = await startApp({ tcp: true, mode: "batch", buses: count });
  const edge = await startEdge(rig, { name: "bench", buses: ports.map((port, bus) => busOf(rig, bus, port)) });
  const path = new LinkPath(rig, [edge], app);
  try {
    const buses = ports.map((_, bus) => bus);
    await untilPassing(path, buses);
    await path.pass({ rate: 2000, ms: 1500, buses });
    return await use(path);
  } finally {
    await path.stop();
  }
}

function busOf(
  rig: Rig,
  bus: number,
  port: number,
): { channel: string; driver: "native"; links: [{ host: string; port: number }] } {
  return { channel: rig.channel(bus), driver: "native", links: [{ host: "127.0.0.1", port }] };
}
