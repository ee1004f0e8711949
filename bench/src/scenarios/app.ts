import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { busTopic, encodeBatch, encodeRecords, FrameBatch, HubConnection } from "@canfleet/sdk";
import type { BenchRun, Contender } from "../bench-run.ts";
import { startHub } from "../broker.ts";
import type { Child } from "../child.ts";
import { startApp, startPythonApp } from "../link-path.ts";
import { costOf } from "../process-cost.ts";
import type { AppReport } from "../frame-meter.ts";
import type { Measures } from "../results.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { periodicTraffic } from "../traffic.ts";

const TABLE =
  "app: frames as fast as its bus takes them (TCPBus: records of 21 bytes; MqttBus: batches of 100, through a hub)";
const RECORDS = 4000;
const BATCH_FRAMES = 100;
/** Frames on their way to an MqttBus at most, so that no queue is full. */
const WINDOW_FRAMES = 12_800;
const PYTHON_FRAMES = 400_000;
const FRAMES = 8_000_000;

/** An app, and what gives it frames as fast as it takes them. */
interface Source {
  app: Child;
  /** Resolves when the app has stopped counting. */
  push: (frames: number) => Promise<void>;
  stop: () => Promise<void>;
}

/** What an app's bus takes from a full socket, or from a hub. */
export async function appScenario(run: BenchRun): Promise<void> {
  const { python, seedPython } = run.options.peers;
  const contenders: Contender[] = [];
  if (python !== undefined && seedPython !== undefined) {
    contenders.push({
      name: "seed's Python TCPBus, recv",
      measure: () => measure(() => recordSource(() => startPythonApp(python, seedPython, false)), PYTHON_FRAMES),
    });
  }
  for (const mode of ["recv", "iterate", "message", "batch"] as const) {
    const frames = mode === "batch" ? FRAMES : FRAMES / 4;
    const start = (): ReturnType<typeof startApp> => startApp({ tcp: true, record: 21, mode, stamped: false });
    contenders.push({ name: `TCPBus, ${mode}`, measure: () => measure(() => recordSource(start), frames) });
  }
  for (const mode of ["recv", "batch"] as const) {
    contenders.push({ name: `MqttBus, ${mode}`, measure: () => measure(() => batchSource(mode), FRAMES / 4) });
  }
  await run.compete(contenders);
}

async function measure(start: () => Promise<Source>, frames: number): Promise<{ [table: string]: Measures }> {
  const { app, push, stop } = await start();
  try {
    await push(frames / 4);
    await app.ask("reset");
    const before = costOf([app.pid]);
    await push(frames);
    const report = await app.ask<AppReport>("report");
    const after = costOf([app.pid]);
    const measures: Measures = {
      taken: report.frames / ((report.lastUs - report.firstUs) / 1e6),
      lostShare: (100 * (frames - report.frames)) / frames,
      appUs: (after.cpuUs - before.cpuUs) / frames,
      peakMb: after.peakRssBytes / 1e6,
    };
    return { [TABLE]: measures };
  } finally {
    await stop();
  }
}

/** Records, which the app's socket takes or not. */
async function recordSource(start: () => Promise<{ app: Child; port: number }>): Promise<Source> {
  const { app, port } = await start();
  const socket = await connected(port);
  const block = recordBlock();
  return {
    app,
    push: async (frames) => {
      for (let left = frames; left > 0; left -= RECORDS) {
        const isTaken = socket.write(left >= RECORDS ? block : block.subarray(0, left * 21));
        if (!isTaken) await once(socket, "drain");
      }
      await untilCounted(app, frames);
    },
    stop: async () => {
      socket.destroy();
      await app.stop();
    },
  };
}

/** Batches through a hub, no more at a time than a few that the app has not counted yet. */
async function batchSource(mode: "recv" | "batch"): Promise<Source> {
  const hub = await startHub();
  const url = `mqtt://127.0.0.1:${hub.port}`;
  const { app } = await startApp({ hub: url, edge: "bench", bus: "can0", mode, stamped: false });
  const connection = new HubConnection(url);
  await connection.ready();
  const batch = periodicTraffic(BATCH_FRAMES, { extended: false });
  const topic = busTopic("canfleet", "bench", "can0", "frames");
  return {
    app,
    push: async (frames) => {
      for (let sent = 0; sent < frames;) {
        for (const end = Math.min(frames, sent + WINDOW_FRAMES / 2); sent < end; sent += BATCH_FRAMES) {
          connection.publish(topic, encodeBatch(batch));
          batch.seq += BATCH_FRAMES;
        }
        while ((await countOf(app)) < sent - WINDOW_FRAMES / 2);
      }
      await untilCounted(app, frames);
    },
    stop: async () => {
      await connection.close();
      await app.stop();
      await hub.stop();
    },
  };
}

async function countOf(app: Child): Promise<number> {
  return (await app.ask<{ frames: number }>("count")).frames;
}

async function untilCounted(app: Child, frames: number): Promise<void> {
  let seen = -1;
  for (let quiet = 0; seen < frames && quiet < 20;) {
    await sleep(50);
    const now = await countOf(app);
    quiet = now === seen ? quiet + 1 : 0;
    seen = now;
  }
}

function recordBlock(): Uint8Array {
  const frames = new FrameBatch(RECORDS, RECORDS * 8);
  const data = new Uint8Array(8);
  for (let i = 0; i < RECORDS; i++) {
    frames.push({ timestampUs: 1.7e15 + i * 125, idWord: 0x100 + (i % 40) * 16, data });
  }
  const block = new Uint8Array(RECORDS * 21);
  encodeRecords(frames, 21, block);
  return block;
}

/** The Python bus says its port before it listens, and takes one connection only. */
async function connected(port: number): Promise<Socket> {
  for (let attempt = 0; ; attempt++) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
}
