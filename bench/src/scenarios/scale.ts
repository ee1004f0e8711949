import { setTimeout as sleep } from "node:timers/promises";
import type { BenchRun } from "../bench-run.ts";
import { startHub, type RunningBroker } from "../broker.ts";
import { Child } from "../child.ts";
import { programPath } from "../paths.ts";
import { costOf, residentBytes } from "../process-cost.ts";
import type { ScaleFleetOptions, ScaleFleetReport } from "../programs/scale-fleet.ts";
import type { ScaleSubscriberReport } from "../programs/scale-subscriber.ts";
import type { Pace } from "../programs/scale-traffic.ts";
import type { Measures } from "../results.ts";

const BUSES = 2;
/** Edges of one process at most: what a light edge costs its machine must not be what is measured. */
const EDGES_PER_PROCESS = 500;
/** Connections of the hub's own, of the subscriber, and some. */
const MORE_CONNECTIONS = 50;
const SETTLE_MS = 2_000;
/** Nothing more comes when nothing came for so long. */
const STILL_MS = 5_000;
const POLL_MS = 50;

interface Fleet {
  edges: number;
  real?: boolean;
}

/** Batches of 100 ms are what a large fleet is best set to, those of 10 ms the edge's default. */
const TABLES: { pace: Pace; fleets: Fleet[] }[] = [
  {
    pace: { framesPerSecond: 200, batchMs: 100 },
    fleets: [{ edges: 10 }, { edges: 10, real: true }, { edges: 30 }, { edges: 100 }, { edges: 300 }, { edges: 1_000 }],
  },
  {
    pace: { framesPerSecond: 200, batchMs: 10 },
    fleets: [{ edges: 10 }, { edges: 30 }, { edges: 100 }, { edges: 300 }],
  },
];

/** Fleets of 10 to 1,000 edges with two buses each on one hub, with one subscriber of everything. */
export async function scaleScenario(run: BenchRun): Promise<void> {
  for (const { pace, fleets } of TABLES) {
    const title = `edges with ${BUSES} buses of ${pace.framesPerSecond} frames/s each, a batch each ${pace.batchMs} ms`;
    const contenders = fleets.map((fleet) => ({
      name: `${fleet.edges} edges${fleet.real ? ", real ones" : ""}`,
      measure: async () => ({ [title]: await measure(fleet, pace, run.options.feedMs) }),
    }));
    await run.compete(contenders);
  }
}

async function measure(fleet: Fleet, pace: Pace, ms: number): Promise<Measures> {
  const hub = await startHub({ maxConnections: fleet.edges + MORE_CONNECTIONS });
  const children: Child[] = [];
  try {
    const url = `mqtt://127.0.0.1:${hub.port}`;
    const subscriber = new Child("subscriber", [process.execPath, programPath("scale-subscriber"), url]);
    children.push(subscriber);
    await subscriber.line();
    const fleets = await startFleets({ url, fleet: fleet.edges, pace, real: fleet.real ?? false });
    children.push(...fleets);
    await ask(fleets, "start");
    await sleep(SETTLE_MS);
    return await window(hub, fleets, subscriber, { ms, wanted: fleet.edges * BUSES * pace.framesPerSecond });
  } finally {
    for (const child of children) await child.stop();
    await hub.stop();
  }
}

async function startFleets(common: Omit<ScaleFleetOptions, "first" | "count">): Promise<Child[]> {
  const fleets: Child[] = [];
  for (let first = 0; first < common.fleet; first += EDGES_PER_PROCESS) {
    const count = Math.min(EDGES_PER_PROCESS, common.fleet - first);
    const options = JSON.stringify({ ...common, first, count } satisfies ScaleFleetOptions);
    const fleet = new Child("fleet", [process.execPath, programPath("scale-fleet"), options]);
    fleets.push(fleet);
    await fleet.line();
  }
  return fleets;
}

async function window(
  hub: RunningBroker,
  fleets: readonly Child[],
  subscriber: Child,
  { ms, wanted }: { ms: number; wanted: number },
): Promise<Measures> {
  const cpuBefore = costOf([hub.pid]).cpuUs;
  const heardBefore = await subscriber.ask<ScaleSubscriberReport>("clear");
  const sentBefore = await ask(fleets, "count");
  const beganMs = performance.now();
  await sleep(ms);
  const heard = await subscriber.ask<ScaleSubscriberReport>("count");
  const sent = await ask(fleets, "count");
  const tookMs = performance.now() - beganMs;
  const cpuUs = costOf([hub.pid]).cpuUs - cpuBefore;
  const rssMb = residentBytes([hub.pid]) / 1e6;
  const frames = heard.frames - heardBefore.frames;
  const messages = sent.messages - sentBefore.messages;
  const end = await settle(fleets, subscriber);
  return {
    taken: (frames * 1000) / tookMs,
    offeredShare: (100 * 1000 * (sent.frames + sent.held - sentBefore.frames - sentBefore.held)) / tookMs / wanted,
    heldShare: (100 * (sent.held - sentBefore.held)) / Math.max(1, sent.frames + sent.held - sentBefore.frames),
    ...(messages > 0 ? { messages: (messages * 1000) / tookMs } : {}),
    hubCpu: cpuUs / tookMs / 10,
    hubUs: cpuUs / frames,
    p50: heard.p50,
    p99: heard.p99,
    p999: heard.p999,
    lostFrames: end.lost,
    unacknowledged: end.unacknowledged,
    rssMb,
  };
}

/** What is missing once everything that was sent had time to come and to be acknowledged. */
async function settle(fleets: readonly Child[], subscriber: Child): Promise<{ lost: number; unacknowledged: number }> {
  await ask(fleets, "stop");
  let end = { lost: Infinity, unacknowledged: Infinity };
  for (let idleMs = 0; idleMs < STILL_MS && end.lost + end.unacknowledged > 0; idleMs += POLL_MS) {
    const { frames, unacknowledged } = await ask(fleets, "count");
    const { frames: heard } = await subscriber.ask<ScaleSubscriberReport>("count");
    const now = { lost: frames - heard, unacknowledged };
    if (now.lost !== end.lost || now.unacknowledged !== end.unacknowledged) idleMs = 0;
    end = now;
    await sleep(POLL_MS);
  }
  return end;
}

async function ask(fleets: readonly Child[], command: string): Promise<ScaleFleetReport> {
  const sum: ScaleFleetReport = { frames: 0, messages: 0, held: 0, unacknowledged: 0 };
  for (const report of await Promise.all(fleets.map((fleet) => fleet.ask<ScaleFleetReport>(command)))) {
    sum.frames += report.frames;
    sum.messages += report.messages;
    sum.held += report.held;
    sum.unacknowledged += report.unacknowledged;
  }
  return sum;
}
