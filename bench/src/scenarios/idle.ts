import { setTimeout as sleep } from "node:timers/promises";
import type { BenchRun, Contender } from "../bench-run.ts";
import { startHub, startMosquitto } from "../broker.ts";
import { seedRecord, startApp, startEdge, startSeedClient } from "../link-path.ts";
import { costOf, residentBytes, wakeUps } from "../process-cost.ts";
import type { Measures } from "../results.ts";

const IDLE_MS = 5000;

interface Started {
  pid: number;
  stop(): Promise<unknown>;
}

/** How long a program takes to start, and what it costs while nothing happens. */
export async function idleScenario(run: BenchRun): Promise<void> {
  const { mosquitto } = run.options.peers;
  const { seedClient } = run;
  const relays: Contender[] = [];
  if (seedClient !== undefined)
    relays.push(idling("idle relay, its host connected", "seed client", () => startSeed(run, seedClient)));
  relays.push(idling("idle relay, its host connected", "edge", () => startIdleEdge(run)));
  await run.compete(relays);
  const brokers: Contender[] = [];
  if (mosquitto !== undefined) brokers.push(idling("idle broker", "Mosquitto", () => startMosquitto(mosquitto)));
  brokers.push(idling("idle broker", "hub", startHub));
  await run.compete(brokers);
}

function idling(table: string, name: string, start: () => Promise<Started>): Contender {
  return { name, measure: async () => ({ [table]: await measureIdle(start) }) };
}

async function measureIdle(start: () => Promise<Started>): Promise<Measures> {
  const startedMs = performance.now();
  const program = await start();
  const startMs = performance.now() - startedMs;
  try {
    await sleep(2000);
    const before = { cpuUs: costOf([program.pid]).cpuUs, wakeUps: wakeUps([program.pid]) };
    await sleep(IDLE_MS);
    return {
      startMs,
      idleUs: (costOf([program.pid]).cpuUs - before.cpuUs) / IDLE_MS,
      wakeUps: ((wakeUps([program.pid]) - before.wakeUps) * 1000) / IDLE_MS,
      rssMb: residentBytes([program.pid]) / 1e6,
    };
  } finally {
    await program.stop();
  }
}

async function startSeed(run: BenchRun, program: string): Promise<Started> {
  const { app, port } = await startApp({ tcp: true, mode: "batch", record: seedRecord(program) });
  const client = startSeedClient(run.newRig(), program, port);
  return { pid: client.pid, stop: () => Promise.all([client.stop(), app.stop()]) };
}

async function startIdleEdge(run: BenchRun): Promise<Started> {
  const { app, port } = await startApp({ tcp: true, mode: "batch" });
  const rig = run.newRig();
  const edge = await startEdge(rig, {
    name: "bench",
    buses: [{ channel: rig.channel(), driver: "native", links: [{ host: "127.0.0.1", port }] }],
  });
  return { pid: edge.pid, stop: () => Promise.all([edge.stop(), app.stop()]) };
}
