import { setTimeout as sleep } from "node:timers/promises";
import type { BenchRun, Contender } from "../bench-run.ts";
import { startHub, startMosquitto, type RunningBroker } from "../broker.ts";
import { Child } from "../child.ts";
import { programPath } from "../paths.ts";
import { costOf } from "../process-cost.ts";
import type { FleetReport } from "../programs/fleet.ts";
import type { Measures } from "../results.ts";

const EDGES = 50;
const SUBSCRIBERS = [1, 10, 50];
const SETTLE_MS = 2_000;

/** Fifty edges at their own pace and up to fifty subscribers of all of them: memory, and CPU for each delivery. */
export async function fleetScenario(run: BenchRun): Promise<void> {
  const { mosquitto } = run.options.peers;
  const contenders: Contender[] = [{ name: "canfleet hub", measure: () => measure(run, startHub) }];
  if (mosquitto !== undefined) {
    contenders.unshift({ name: "Mosquitto", measure: () => measure(run, () => startMosquitto(mosquitto)) });
  }
  await run.compete(contenders);
}

async function measure(run: BenchRun, start: () => Promise<RunningBroker>): Promise<{ [table: string]: Measures }> {
  const tables: { [table: string]: Measures } = {};
  for (const subscribers of SUBSCRIBERS) {
    const title = `${EDGES} edges, ${EDGES * 10} batches/s, to ${subscribers} subscriber${subscribers > 1 ? "s" : ""}`;
    tables[title] = await through(await start(), subscribers, run.options.feedMs);
  }
  return tables;
}

async function through(broker: RunningBroker, subscribers: number, ms: number): Promise<Measures> {
  const heard = await startFleet(broker, "subscribers", subscribers);
  const edges = await startFleet(broker, "edges", EDGES);
  try {
    await sleep(SETTLE_MS);
    const before = { cpuUs: costOf([broker.pid]).cpuUs, messages: await messagesOf(heard) };
    await sleep(ms);
    const after = { ...costOf([broker.pid]), messages: await messagesOf(heard) };
    const deliveries = after.messages - before.messages;
    return {
      deliveries: (deliveries * 1000) / ms,
      deliveryUs: (after.cpuUs - before.cpuUs) / deliveries,
      lostMessages: await missing(edges, heard, subscribers),
      peakMb: after.peakRssBytes / 1e6,
    };
  } finally {
    await edges.stop();
    await heard.stop();
    await broker.stop();
  }
}

/** Deliveries that are missing after the last message had time to come. */
async function missing(edges: Child, heard: Child, subscribers: number): Promise<number> {
  const published = await messagesOf(edges);
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await messagesOf(heard)) >= published * subscribers) return 0;
    await sleep(50);
  }
  return published * subscribers - (await messagesOf(heard));
}

async function startFleet({ port }: RunningBroker, role: "edges" | "subscribers", count: number): Promise<Child> {
  const command = [process.execPath, programPath("fleet"), `mqtt://127.0.0.1:${port}`, role, `${count}`];
  const fleet = new Child(role, command);
  await fleet.line();
  return fleet;
}

async function messagesOf(fleet: Child): Promise<number> {
  return (await fleet.ask<FleetReport>("count")).messages;
}
