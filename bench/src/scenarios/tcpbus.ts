import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { encodeRecords, FrameBatch } from "@canfleet/sdk";
import type { BenchRun, Contender } from "../bench-run.ts";
import type { Child } from "../child.ts";
import { startApp, startPythonApp } from "../link-path.ts";
import { costOf } from "../process-cost.ts";
import type { AppReport } from "../programs/app.ts";
import type { Measures } from "../results.ts";
import { setTimeout as sleep } from "node:timers/promises";

const TABLE = "TCPBus, 21-byte records as fast as it takes them";
const RECORDS = 4000;
const PYTHON_FRAMES = 400_000;
const FRAMES = 8_000_000;

/** What an app's TCPBus takes from a full socket. */
export async function tcpBusScenario(run: BenchRun): Promise<void> {
  const { python, seedPython } = run.options.peers;
  const contenders: Contender[] = [];
  if (python !== undefined && seedPython !== undefined) {
    contenders.push({
      name: "seed's Python TCPBus, recv",
      measure: () => measure(() => startPythonApp(python, seedPython, false), PYTHON_FRAMES),
    });
  }
  for (const mode of ["recv", "iterate", "message", "batch"] as const) {
    const frames = mode === "batch" ? FRAMES : FRAMES / 4;
    contenders.push({
      name: `TCPBus, ${mode}`,
      measure: () => measure(() => startApp({ tcp: true, record: 21, mode, stamped: false }), frames),
    });
  }
  await run.compete(contenders);
}

type Start = () => Promise<{ app: Child; port: number }>;

async function measure(start: Start, frames: number): Promise<{ [table: string]: Measures }> {
  const { app, port } = await start();
  try {
    const socket = await connected(port);
    await push(socket, app, frames / 4);
    await app.ask("reset");
    const before = costOf([app.pid]);
    await push(socket, app, frames);
    const report = await app.ask<AppReport>("report");
    const after = costOf([app.pid]);
    socket.destroy();
    const measures: Measures = {
      taken: report.frames / ((report.lastUs - report.firstUs) / 1e6),
      lostShare: (100 * (frames - report.frames)) / frames,
      appUs: (after.cpuUs - before.cpuUs) / frames,
      peakMb: after.peakRssBytes / 1e6,
    };
    return { [TABLE]: measures };
  } finally {
    await app.stop();
  }
}

/** Writes records as fast as the app's socket takes them, and waits until the app has stopped counting. */
async function push(socket: Socket, app: Child, frames: number): Promise<void> {
  const block = recordBlock();
  for (let left = frames; left > 0; left -= RECORDS) {
    const isTaken = socket.write(left >= RECORDS ? block : block.subarray(0, left * 21));
    if (!isTaken) await once(socket, "drain");
  }
  let seen = -1;
  for (let quiet = 0; seen < frames && quiet < 20;) {
    await sleep(50);
    const now = (await app.ask<{ frames: number }>("count")).frames;
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
