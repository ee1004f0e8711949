import type { EdgeConfig } from "@canfleet/edge";
import type { BenchRun, Contender } from "../bench-run.ts";
import {
  LinkPath,
  seedRecord,
  startApp,
  startEdge,
  startPythonApp,
  startSeedClient,
  untilPassing,
  WARM_UP,
  type Passage,
} from "../link-path.ts";
import { findCeiling } from "../link-ceiling.ts";
import { startCannelloniPath, startSocketcandPath } from "../peer-path.ts";
import type { Measures } from "../results.ts";
import type { Rig } from "../rig.ts";

/** Fastest first: by the slow one, which has few wake-ups, Node has compiled what runs at each. */
const RATES = [20_000, 8000, 1000];
const SATURATED_MS = 1500;
/** As long as canfleet's edge gathers by default. */
const CANNELLONI_SHORT_US = 1000;

/** Capture → raw link → app: cost and latency at given rates, and what goes through at most. */
export async function linkScenario(run: BenchRun): Promise<void> {
  await run.compete(contendersOf(run).map(({ name, start }) => ({ name, measure: () => measureLink(run, start) })));
}

/** The rig against itself: one program as both contenders. */
export async function selfCheckScenario(run: BenchRun): Promise<void> {
  const start = (rig: Rig): Promise<LinkPath> => startEdgePath(rig, {});
  const contenders = ["canfleet edge", "canfleet edge, the same again"].map((name): Contender => {
    return { name, measure: () => measureSelf(run, start) };
  });
  await run.compete(contenders);
}

type Start = (rig: Rig) => Promise<LinkPath>;

function contendersOf(run: BenchRun): { name: string; start: Start }[] {
  const { seedPython, python } = run.options.peers;
  const { seedClient } = run;
  const contenders: { name: string; start: Start }[] = [];
  if (seedClient !== undefined) {
    contenders.push({ name: "seed client → TCPBus", start: (rig) => startSeedPath(rig, seedClient) });
    if (seedPython !== undefined && python !== undefined && seedRecord(seedClient) === 21) {
      const start: Start = (rig) => startSeedPythonPath(rig, seedClient, python, seedPython);
      contenders.push({ name: "seed client → seed's Python TCPBus", start });
    }
  }
  contenders.push(...otherRelays(run));
  const edges: { name: string; start: Start }[] = [
    { name: "edge, 1 ms gathered (default) → TCPBus", start: (rig) => startEdgePath(rig, {}) },
    { name: "edge, at once → TCPBus", start: (rig) => startEdgePath(rig, { gatherMs: 0 }) },
  ];
  // In the guest, where a run takes long, its cost could not be counted.
  if (run.options.rig === "shim") {
    edges.push({ name: "edge, 3 ms gathered → TCPBus", start: (rig) => startEdgePath(rig, { gatherMs: 3 }) });
  }
  return [...contenders, ...edges];
}

/** Relays with formats of their own, and an app that reads those. */
function otherRelays(run: BenchRun): { name: string; start: Start }[] {
  const { cannelloni, socketcand } = run.options.peers;
  const relays: { name: string; start: Start }[] = [];
  if (cannelloni !== undefined) {
    const startWith = (timeoutUs?: number) => async (rig: Rig) =>
      passing(await startCannelloniPath(rig, cannelloni, timeoutUs));
    relays.push({ name: "cannelloni (UDP), 100 ms gathered (default) → app", start: startWith() });
    relays.push({ name: "cannelloni (UDP), 1 ms gathered → app", start: startWith(CANNELLONI_SHORT_US) });
  }
  if (socketcand !== undefined) {
    relays.push({
      name: "socketcand → app",
      start: async (rig) => passing(await startSocketcandPath(rig, socketcand)),
    });
  }
  return relays;
}

/** canfleet's edge and app, over the extended link. */
export async function startEdgePath(rig: Rig, bus: Partial<EdgeConfig["buses"][number]>): Promise<LinkPath> {
  const { app, port } = await startApp({ tcp: true, mode: "batch" });
  const edge = await startEdge(rig, {
    name: "bench",
    buses: [{ channel: rig.channel(), driver: "native", links: [{ host: "127.0.0.1", port }], ...bus }],
  });
  return passing(new LinkPath(rig, [edge], app));
}

async function startSeedPath(rig: Rig, client: string): Promise<LinkPath> {
  const { app, port } = await startApp({ tcp: true, mode: "batch", record: seedRecord(client) });
  return passing(new LinkPath(rig, [startSeedClient(rig, client, port)], app));
}

async function startSeedPythonPath(rig: Rig, client: string, python: string, folder: string): Promise<LinkPath> {
  const { app, port } = await startPythonApp(python, folder);
  return passing(new LinkPath(rig, [startSeedClient(rig, client, port)], app));
}

async function passing(path: LinkPath): Promise<LinkPath> {
  try {
    await untilPassing(path);
  } catch (error) {
    await path.stop();
    throw error;
  }
  return path;
}

async function withPath<T>(run: BenchRun, start: Start, use: (path: LinkPath) => Promise<T>): Promise<T> {
  const path = await start(run.newRig());
  try {
    await path.pass(WARM_UP);
    return await use(path);
  } finally {
    await path.stop();
  }
}

function measureLink(run: BenchRun, start: Start): Promise<{ [table: string]: Measures }> {
  return withPath(run, start, async (path) => {
    const tables: { [table: string]: Measures } = {};
    for (const rate of RATES) {
      const passage = await path.pass({ rate, ms: run.options.feedMs });
      tables[`raw link at ${rate.toLocaleString("en-US")} frames/s`] = pacedMeasures(run, passage);
    }
    const flat = await path.pass({ rate: 0, ms: SATURATED_MS });
    tables["raw link, saturated"] = { ...saturatedMeasures(run, flat), lossless: await findCeiling(path) };
    return tables;
  });
}

function measureSelf(run: BenchRun, start: Start): Promise<{ [table: string]: Measures }> {
  return withPath(run, start, async (path) => ({
    "rig against itself at 8,000 frames/s": pacedMeasures(run, await path.pass({ rate: 8000, ms: run.options.feedMs })),
    "rig against itself, saturated": saturatedMeasures(run, await path.pass({ rate: 0, ms: SATURATED_MS })),
  }));
}

/** Figures of a paced feed. Inside the guest CPU accounting says nothing, so there it is left out. */
export function pacedMeasures(run: BenchRun, { fed, app, ...cost }: Passage): Measures {
  return {
    lostShare: (100 * (fed.sent - app.frames)) / fed.sent,
    ...(run.options.rig === "shim" && { relayUs: cost.relayCpuUs / fed.sent, appUs: cost.appCpuUs / fed.sent }),
    p50: app.p50Us,
    p99: app.p99Us,
    p999: app.p999Us,
    peakMb: cost.relayPeakBytes / 1e6,
  };
}

function saturatedMeasures(run: BenchRun, { fed, app, relayCpuUs, relayPeakBytes }: Passage): Measures {
  return {
    taken: app.frames / ((app.lastUs - app.firstUs) / 1e6),
    lostShare: (100 * (fed.sent - app.frames)) / fed.sent,
    ...(run.options.rig === "shim" && { relayUs: relayCpuUs / app.frames }),
    peakMb: relayPeakBytes / 1e6,
  };
}
