import { encodeBatch } from "@canfleet/sdk";
import type { BenchRun, Contender } from "../bench-run.ts";
import { runLoad, startHub, startMosquitto, type Load, type LoadReport, type RunningBroker } from "../broker.ts";
import { costOf } from "../process-cost.ts";
import type { Measures } from "../results.ts";
import { periodicTraffic } from "../traffic.ts";

const LOAD_MS = 1500;
const WARM_UP_MS = 1500;
/** A frame alone: struct can_frame of linux/can.h. */
const FRAME_BYTES = 16;
const BATCH_FRAMES = 100;
/** Batches, which a hub acknowledges: its own client is one subscriber more than the load has. */
const FRAMES_TOPIC = "canfleet/load/can0/frames";
/** Messages to a hub like any others. */
const OTHER_TOPIC = "canfleet/load/can0/other";

interface Contestant {
  start: () => Promise<RunningBroker>;
  topic: string;
  /** Frames in a message, for the tables that count frames. */
  framesPerMessage: number;
}

/** One publisher through the hub to 1, 10 and 50 subscribers, against Mosquitto with the same bytes. */
export async function hubScenario(run: BenchRun): Promise<void> {
  const { mosquitto } = run.options.peers;
  const contenders: Contender[] = [
    contender("canfleet hub", { start: startHub, topic: OTHER_TOPIC, framesPerMessage: BATCH_FRAMES }),
    contender("… acknowledging", { start: startHub, topic: FRAMES_TOPIC, framesPerMessage: BATCH_FRAMES }),
  ];
  if (mosquitto !== undefined) {
    const start = (): Promise<RunningBroker> => startMosquitto(mosquitto);
    contenders.unshift(contender("Mosquitto", { start, topic: OTHER_TOPIC, framesPerMessage: 1 }));
  }
  await run.compete(contenders);
}

function contender(name: string, contestant: Contestant): Contender {
  return { name, measure: () => measureBroker(contestant) };
}

async function measureBroker({ start, topic, framesPerMessage }: Contestant): Promise<{ [table: string]: Measures }> {
  const broker = await start();
  try {
    await runLoad(broker.port, { subscribers: 10, topic, payload: batchWithin(160), ms: WARM_UP_MS });
    const tables: { [table: string]: Measures } = {};
    for (const payloadBytes of [160, 1600]) {
      for (const subscribers of [1, 10, 50]) {
        const load = { subscribers, topic, payload: batchWithin(payloadBytes), ms: LOAD_MS };
        const { report, cpuUs, peakBytes } = await cost(broker, load);
        tables[`hub, ${payloadBytes} bytes to ${countOf(subscribers)}`] = {
          messages: report.messages / report.seconds,
          deliveryUs: cpuUs / report.delivered,
          lostMessages: report.lost,
          peakMb: peakBytes / 1e6,
        };
      }
    }
    const payload = framesPerMessage === 1 ? new Uint8Array(FRAME_BYTES) : batchOf(framesPerMessage);
    for (const subscribers of [1, 10]) {
      const title = `frames to ${countOf(subscribers)}: Mosquitto one a message, hub 100 a batch`;
      const { report, cpuUs } = await cost(broker, { subscribers, topic, payload, ms: LOAD_MS });
      tables[title] = {
        taken: (report.messages * framesPerMessage) / report.seconds,
        hubUs: cpuUs / (report.delivered * framesPerMessage),
        lostMessages: report.lost,
      };
    }
    return tables;
  } finally {
    await broker.stop();
  }
}

function countOf(subscribers: number): string {
  return `${subscribers} subscriber${subscribers > 1 ? "s" : ""}`;
}

function batchOf(frames: number): Uint8Array {
  return encodeBatch(periodicTraffic(frames, { extended: false }));
}

/** A batch of as many frames as fit: up to 14 bytes less than `bytes`. */
function batchWithin(bytes: number): Uint8Array {
  let batch = batchOf(1);
  for (let frames = 2; ; frames++) {
    const larger = batchOf(frames);
    if (larger.length > bytes) return batch;
    batch = larger;
  }
}

async function cost(
  broker: RunningBroker,
  load: Load,
): Promise<{ report: LoadReport; cpuUs: number; peakBytes: number }> {
  const before = costOf([broker.pid]);
  const report = await runLoad(broker.port, load);
  const after = costOf([broker.pid]);
  return { report, cpuUs: after.cpuUs - before.cpuUs, peakBytes: after.peakRssBytes };
}
