import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { appendLogLine, FrameBatch, isCanfleetError, Message } from "@canfleet/sdk";
import { fileError } from "./file-error.ts";

/** A frame of a log. */
export interface LogEntry {
  channel: string;
  /** Its time is the recorded one. */
  message: Message;
}

/**
 * Reads a candump log line by line: `.gz` is unpacked, `-` is stdin. Lines that are no frames are passed over; one that
 * should be a frame and is none is told to `onBadLine`, and the rest is still read.
 *
 * @param signal ends it early, even while stdin has nothing to say
 * @throws CanfleetError `TEXT_NO_FILE` when the file cannot be read (any further)
 */
export async function* readLog(
  path: string,
  onBadLine: (lineNumber: number, reason: string) => void,
  signal: AbortSignal,
): AsyncGenerator<LogEntry, void, undefined> {
  const batch = new FrameBatch(1);
  let lineNumber = 0;
  try {
    for await (const line of logLines(path, signal)) {
      lineNumber++;
      batch.clear();
      const channel = readLine(batch, line, lineNumber, onBadLine);
      if (channel !== undefined) yield { channel, message: Message.fromBatch(batch, 0, channel) };
    }
  } catch (error) {
    if (isCanfleetError(error)) throw error;
    throw fileError(path, error);
  }
}

function readLine(
  batch: FrameBatch,
  line: string,
  lineNumber: number,
  onBadLine: (lineNumber: number, reason: string) => void,
): string | undefined {
  try {
    return appendLogLine(batch, line);
  } catch (error) {
    if (!isCanfleetError(error, "TEXT_BAD_LINE")) throw error;
    onBadLine(lineNumber, error.message);
    return undefined;
  }
}

async function* logLines(path: string, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const source: Readable = path === "-" ? process.stdin : createReadStream(path);
  const unpacked = path.endsWith(".gz") ? source.pipe(createGunzip()) : source;
  // An error of the file does not reach the end of the pipe by itself.
  let failure: Error | undefined;
  source.on("error", (error) => {
    failure = error;
    unpacked.destroy(error);
  });
  unpacked.on("error", (error) => {
    failure ??= error;
  });
  const lines = createInterface({ input: unpacked, crlfDelay: Infinity });
  // readline ends quietly when its input fails.
  unpacked.on("close", () => lines.close());
  signal.addEventListener("abort", () => lines.close(), { once: true });
  yield* lines;
  if (failure) throw failure;
}
