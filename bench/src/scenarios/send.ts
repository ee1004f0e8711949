import { Child } from "../child.ts";
import type { BenchRun, Contender } from "../bench-run.ts";
import { seedRecord, startApp, startEdge, startSeedClient } from "../link-path.ts";
import { programPath } from "../paths.ts";
import { costOf } from "../process-cost.ts";
import type { AppReport } from "../frame-meter.ts";
import type { SentReport } from "../programs/sender.ts";
import type { Measures } from "../results.ts";
import type { Rig } from "../rig.ts";
import { setTimeout as sleep } from "node:timers/promises";

const RATES = [1000, 8000];
/** The bus that the sender's relay writes, as an observer reads it. */
type StartRelay = (rig: Rig, port: number) => Promise<Child>;

/** App → bus: frames sent through a relay, seen on the bus by an observer of its own. Needs a real bus. */
export async function sendScenario(run: BenchRun): Promise<void> {
  if (run.options.rig !== "vcan") return;
  const { seedClient } = run;
  const contenders: Contender[] = [];
  if (seedClient !== undefined) {
    const start: StartRelay = (rig, port) => Promise.resolve(startSeedClient(rig, seedClient, port));
    contenders.push({ name: "TCPBus → seed client", measure: () => measure(run, start, seedRecord(seedClient)) });
  }
  contenders.push({ name: "TCPBus → edge", measure: () => measure(run, startSendingEdge, "auto") });
  await run.compete(contenders);
}

function startSendingEdge(rig: Rig, port: number): Promise<Child> {
  return startEdge(rig, {
    name: "bench",
    buses: [{ channel: rig.channel(), driver: "native", send: "link", links: [{ host: "127.0.0.1", port }] }],
  });
}

async function measure(
  run: BenchRun,
  startRelay: StartRelay,
  record: 21 | 29 | "auto",
): Promise<{ [table: string]: Measures }> {
  const rig = run.newRig();
  const { app: observer, port: observerPort } = await startApp({ tcp: true, mode: "batch" });
  const eye = await startEdge(rig, {
    name: "observer",
    buses: [
      { channel: rig.channel(), driver: "native", gatherMs: 0, links: [{ host: "127.0.0.1", port: observerPort }] },
    ],
  });
  const sender = new Child("sender", [process.execPath, programPath("sender"), `${record}`]);
  const { port } = await sender.line<{ port: number }>();
  const relay = await startRelay(rig, port);
  try {
    await sender.line();
    await sender.ask("1000 1000");
    const tables: { [table: string]: Measures } = {};
    for (const rate of RATES)
      tables[`send, ${rate.toLocaleString("en-US")} frames/s`] = await send(run, rate, sender, observer, relay);
    return tables;
  } finally {
    for (const child of [relay, sender, eye, observer]) await child.stop();
  }
}

async function send(run: BenchRun, rate: number, sender: Child, observer: Child, relay: Child): Promise<Measures> {
  await sleep(300);
  await observer.ask("reset");
  const { sent } = await sender.ask<SentReport>(`${rate} ${run.options.feedMs}`);
  for (let attempt = 0; attempt < 40; attempt++) {
    if ((await observer.ask<{ frames: number }>("count")).frames >= sent) break;
    await sleep(50);
  }
  const seen = await observer.ask<AppReport>("report");
  return {
    lostShare: (100 * (sent - seen.frames)) / sent,
    p50: seen.p50Us,
    p99: seen.p99Us,
    p999: seen.p999Us,
    peakMb: costOf([relay.pid]).peakRssBytes / 1e6,
  };
}
