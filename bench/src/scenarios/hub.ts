import { encodeBatch } from "@canfleet/sdk";
import type { BenchRun, Contender } from "../bench-run.ts";
import { runLoad, startHub, startMosquitto, type LoadReport, type RunningBroker } from "../broker.ts";
import { costOf } from "../process-cost.ts";
import type { Measures } from "../results.ts";
import { periodicTraffic } from "../traffic.ts";

const LOAD_MS = 1500;
const WARM_UP_MS = 1500;
/** A frame alone: struct can_frame of linux/can.h. */
const FRAME_BYTES = 16;
const BATCH_FRAMES = 100;

type Start = () => Promise<RunningBroker>;

/** One publisher through the hub to 1, 10 and 50 subscribers, against Mosquitto. */
export async function hubScenario(run: BenchRun): Promise<void> {
  const { mosquitto } = run.options.peers;
  const hub: Contender = { name: "canfleet hub", measure: () => measureBroker(startHub, BATCH_FRAMES) };
  if (mosquitto === undefined) {
    await run.compete([hub]);
    return;
  }
  const peer = (): Promise<RunningBroker> => startMosquitto(mosquitto);
  await run.compete([{ name: "Mosquitto", measure: () => measureBroker(peer, 1) }, hub]);
}

async function measureBroker(start: Start, framesPerMessage: number): Promise<{ [table: string]: Measures }> {
  const broker = await start();
  try {
    await runLoad(broker.port, { subscribers: 10, payloadBytes: 160, ms: WARM_UP_MS });
    const tables: { [table: string]: Measures } = {};
    for (const payloadBytes of [160, 1600]) {
      for (const subscribers of [1, 10, 50]) {
        const { report, cpuUs, peakBytes } = await load(broker, subscribers, payloadBytes);
        tables[`hub, ${payloadBytes} bytes to ${subscribers} subscriber${subscribers > 1 ? "s" : ""}`] = {
          messages: report.messages / report.seconds,
          deliveryUs: cpuUs / report.delivered,
          lostMessages: report.lost,
          peakMb: peakBytes / 1e6,
        };
      }
    }
    for (const subscribers of [1, 10]) {
      const title = `frames to ${subscribers} subscriber${subscribers > 1 ? "s" : ""}: Mosquitto one a message, hub 100 a batch`;
      tables[title] = await framesThrough(broker, subscribers, framesPerMessage);
    }
    return tables;
  } finally {
    await broker.stop();
  }
}

async function framesThrough(broker: RunningBroker, subscribers: number, framesPerMessage: number): Promise<Measures> {
  const batchBytes = encodeBatch(periodicTraffic(framesPerMessage, { extended: false })).length;
  const payloadBytes = framesPerMessage === 1 ? FRAME_BYTES : batchBytes;
  const { report, cpuUs } = await load(broker, subscribers, payloadBytes);
  return {
    taken: (report.messages * framesPerMessage) / report.seconds,
    hubUs: cpuUs / (report.delivered * framesPerMessage),
    lostMessages: report.lost,
  };
}

async function load(
  broker: RunningBroker,
  subscribers: number,
  payloadBytes: number,
): Promise<{ report: LoadReport; cpuUs: number; peakBytes: number }> {
  const before = costOf([broker.pid]);
  const report = await runLoad(broker.port, { subscribers, payloadBytes, ms: LOAD_MS });
  const after = costOf([broker.pid]);
  return { report, cpuUs: after.cpuUs - before.cpuUs, peakBytes: after.peakRssBytes };
}
