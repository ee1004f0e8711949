import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "./child.ts";
import { programPath } from "./paths.ts";
import { costOf } from "./process-cost.ts";
import type { Fed, FeedOptions, Rig } from "./rig.ts";

/** Time without a new frame after which a reader has all that it will get. */
const QUIET_MS = 400;
const LOOK_MS = 20;
const READY_LIMIT_MS = 15_000;
const NEW_LINE = 10;

/** A program that reads a bus, and how many frames it has had. */
export interface Reader {
  pid: number;
  frames(): Promise<number>;
  stop(): Promise<void>;
}

/** What one feed of a reader gave. */
export interface Capture {
  fed: Fed;
  app: { frames: number };
  cpuUs: number;
  peakBytes: number;
}

/** A bus and a reader of it. */
export class CapturePath {
  readonly #rig: Rig;
  readonly #reader: Reader;

  constructor(rig: Rig, reader: Reader) {
    this.#rig = rig;
    this.#reader = reader;
  }

  /** Feeds the bus and waits until the reader has what it gets. */
  async pass(feed: FeedOptions): Promise<Capture> {
    const framesBefore = await this.#reader.frames();
    const before = costOf([this.#reader.pid]);
    const fed = await this.#rig.feed(feed);
    const frames = await this.#settled(framesBefore + fed.sent);
    const after = costOf([this.#reader.pid]);
    return {
      fed,
      app: { frames: frames - framesBefore },
      cpuUs: after.cpuUs - before.cpuUs,
      peakBytes: after.peakRssBytes,
    };
  }

  async #settled(wanted: number): Promise<number> {
    let frames = -1;
    for (let changedMs = performance.now(); performance.now() - changedMs < QUIET_MS;) {
      const now = await this.#reader.frames();
      if (now >= wanted) return now;
      if (now !== frames) changedMs = performance.now();
      frames = now;
      await sleep(LOOK_MS);
    }
    return frames;
  }

  /** Waits until the reader has opened the bus. */
  async untilReading(): Promise<void> {
    for (const endMs = performance.now() + READY_LIMIT_MS; performance.now() < endMs;) {
      if ((await this.pass({ rate: 100, ms: 100 })).app.frames > 0) return;
    }
    throw new Error("no frame was read");
  }

  async stop(): Promise<void> {
    await this.#reader.stop();
  }
}

/** A program of ours, `native` with a wait for more frames in ms, or npm's `socketcan`. */
export async function startCapture(rig: Rig, reader: "native" | "socketcan", gatherMs = 0): Promise<Reader> {
  const command = [process.execPath, programPath("capture"), rig.channel(), reader, `${gatherMs}`];
  const child = new Child(reader, command, { env: rig.environment(process.execPath) });
  await child.line();
  return {
    pid: child.pid,
    frames: async () => (await child.ask<{ frames: number }>("count")).frames,
    stop: () => child.stop(),
  };
}

/** candump, which writes a line a frame into a file, as it is mostly used. */
export function startCandump(rig: Rig, program: string): Reader {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-bench-"));
  const file = join(folder, "candump.log");
  const command = ["sh", "-c", 'exec "$0" -L "$1" > "$2"', program, rig.channel(), file];
  const child = new Child("candump", command, { env: rig.environment(program) });
  const lines = new LineCount(file);
  return {
    pid: child.pid,
    frames: () => Promise.resolve(lines.now()),
    stop: async () => {
      await child.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Lines of a file that grows; what was counted is not read again. */
class LineCount {
  readonly #file: string;
  #size = 0;
  #lines = 0;

  constructor(file: string) {
    this.#file = file;
  }

  now(): number {
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    if (size === this.#size) return this.#lines;
    const bytes = readFileSync(this.#file);
    for (let at = bytes.indexOf(NEW_LINE, this.#size); at >= 0; at = bytes.indexOf(NEW_LINE, at + 1)) this.#lines++;
    this.#size = bytes.length;
    return this.#lines;
  }
}
