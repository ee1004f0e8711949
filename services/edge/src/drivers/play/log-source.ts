import { createReadStream } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import {
  addLoss,
  appendLogLine,
  CanfleetError,
  FrameBatch,
  isCanfleetError,
  MAX_FD_LENGTH,
  messageOf,
  parseDropLine,
  parseLostLine,
} from "@canfleet/sdk";

/** Frames that are read at a time; what a stream gives at once (64 KiB) has some 1400. */
const MAX_ROWS = 1024;
const ROW_BYTES = 16;

/** A line of 64 bytes of CAN FD and nanoseconds has some 220 characters; a file without line ends is no log. */
const MAX_LINE_LENGTH = 4096;

export const STDIN = "-";

/**
 * Looks whether a log can be read.
 *
 * @throws CanfleetError `TEXT_NO_FILE`
 */
export async function checkLog(path: string): Promise<void> {
  if (path === STDIN) return;
  try {
    await access(path, constants.R_OK);
    if ((await stat(path)).isDirectory()) throw new Error("it is a folder");
  } catch (cause) {
    throw new CanfleetError("TEXT_NO_FILE", `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Opens a log: `-` is the standard input, `.gz` is unpacked on the way. */
function openLog(path: string): Readable {
  if (path === STDIN) return process.stdin;
  const file = createReadStream(path);
  if (!path.endsWith(".gz")) return file;
  const plain = createGunzip();
  file.on("error", (error) => plain.destroy(error));
  plain.on("close", () => file.destroy());
  return file.pipe(plain);
}

export interface LogReading {
  path: string;
  /** Only lines of this interface. Default: all. */
  channel: string | undefined;
  /** Told of each line that should be a frame and is not; counted from 1. */
  badLine(line: number, reason: string): void;
}

/** Reads a log piece by piece; whatever its size, one piece is in memory. */
export class LogSource {
  readonly #reading: LogReading;
  readonly #stream: Readable;
  readonly #row = new FrameBatch(1);
  readonly #batch = new FrameBatch(MAX_ROWS, MAX_ROWS * ROW_BYTES);
  #line = 0;
  #rest = "";

  constructor(reading: LogReading) {
    this.#reading = reading;
    this.#stream = openLog(reading.path);
  }

  /** Ends the reading; `batches` then ends or throws. */
  close(): void {
    this.#stream.destroy();
  }

  /**
   * Frames in the order of the file, with the times of the file; `lost` tells what the log says was lost before them.
   * The batch is used again for the next piece. Throws what the file system or the unpacking throws.
   */
  async *batches(): AsyncGenerator<FrameBatch, void, undefined> {
    for await (const chunk of this.#stream) {
      yield* this.#pieces((chunk as Buffer).toString("latin1"));
    }
    yield* this.#pieces("\n");
  }

  /** What is complete is given at the end of each chunk: the next one of a pipe may be long in coming. */
  *#pieces(text: string): Generator<FrameBatch, void, undefined> {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      const line = this.#rest + text.slice(from, end);
      this.#rest = "";
      from = end + 1;
      yield* this.#take(line);
    }
    this.#rest = (this.#rest + text.slice(from)).slice(0, MAX_LINE_LENGTH);
    yield* this.#flush();
  }

  *#take(line: string): Generator<FrameBatch, void, undefined> {
    this.#line++;
    const missing = readLoss(line);
    if (missing) {
      if (this.#isWanted(missing.channel)) {
        yield* this.#flush();
        addLoss((this.#batch.lost ??= {}), "kernel", missing.frames);
      }
      return;
    }
    this.#row.clear();
    const channel = this.#parse(line);
    if (channel === undefined || !this.#isWanted(channel)) return;
    if (!this.#batch.fits(MAX_FD_LENGTH)) yield* this.#flush();
    this.#batch.append(this.#row);
  }

  #parse(line: string): string | undefined {
    try {
      return appendLogLine(this.#row, line);
    } catch (error) {
      if (!isCanfleetError(error, "TEXT_BAD_LINE")) throw error;
      this.#reading.badLine(this.#line, error.message);
      return undefined;
    }
  }

  #isWanted(channel: string): boolean {
    return this.#reading.channel === undefined || this.#reading.channel === channel;
  }

  *#flush(): Generator<FrameBatch, void, undefined> {
    if (this.#batch.count === 0) return;
    yield this.#batch;
    this.#batch.clear();
  }
}

/** What a line says was lost, candump's or our own; for whoever plays the log it was lost before this driver. */
function readLoss(line: string): { channel: string; frames: number | null } | undefined {
  const drop = parseDropLine(line);
  return drop ? { channel: drop.channel, frames: drop.dropped } : parseLostLine(line);
}
