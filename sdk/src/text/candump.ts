/**
 * Log lines as `candump -L` prints and `candump -l` stores them, one frame each:
 *
 *     (1700000000.654321) can0 123#1122
 *     (1700000000.654321987) can0 1F334455##1AABB T
 *
 * Six decimals, or nine where the time is known to the nanosecond; ` R` or ` T` for received or sent, where asked for.
 * The frame is in the notation of `frame-notation.ts`. Lines that do not start with `(` are no frames: `canplayer`
 * passes over them, and candump tells losses in one of them.
 */
import { FLAG_OWN, type FrameBatch } from "../can/frame-batch.ts";
import { CanfleetError } from "../errors.ts";
import { appendFrameText, formatFrame } from "./frame-notation.ts";
import { padded, secondsText } from "./time-text.ts";

const OPEN = 0x28;
const ZERO = 0x30;
const NINE = 0x39;
const BLANK = 0x20;
const UPPER_R = 0x52;
const UPPER_T = 0x54;

/** Up to here µs are exact in a number: the year 2255. */
const MAX_SECONDS = Math.floor(Number.MAX_SAFE_INTEGER / 1e6) - 1;

const WANTED_TIME = "a time such as (1700000000.654321), with 6 or 9 decimals";

/**
 * Adds the frame of a log line to the batch; a frame marked `T` gets `FLAG_OWN`. The line end may be left on.
 *
 * @returns the interface name, or undefined where the line is not meant to be a frame (it does not start with `(`)
 * @throws CanfleetError `TEXT_BAD_LINE` that says what was wanted; the batch is then as before
 * @throws RangeError when the batch has no room for 64 bytes more
 */
export function appendLogLine(batch: FrameBatch, line: string): string | undefined {
  if (line.charCodeAt(0) !== OPEN) return undefined;
  const timeEnd = line.indexOf(")");
  const pointAt = line.indexOf(".");
  const decimals = timeEnd - pointAt - 1;
  if (pointAt < 2 || (decimals !== 6 && decimals !== 9)) throw badLine(line, WANTED_TIME);
  const seconds = readDigits(line, 1, pointAt);
  const micros = readDigits(line, pointAt + 1, pointAt + 7);
  const nanos = decimals === 9 ? readDigits(line, pointAt + 7, timeEnd) : 0;
  if (seconds < 0 || seconds > MAX_SECONDS || micros < 0 || nanos < 0) throw badLine(line, WANTED_TIME);

  const channelAt = skipBlanks(line, timeEnd + 1);
  const channelEnd = skipWord(line, channelAt);
  const frameAt = skipBlanks(line, channelEnd);
  const frameEnd = skipWord(line, frameAt);
  if (frameAt === frameEnd) throw badLine(line, "an interface name and a frame after the time");
  const direction = readDirection(line, skipBlanks(line, frameEnd));
  const wanted = appendFrameText(batch, line, frameAt, frameEnd);
  if (wanted !== undefined) throw badLine(line, wanted);

  const i = batch.count - 1;
  batch.timestampUs[i] = seconds * 1e6 + micros;
  batch.timestampNs[i] = nanos;
  if (direction === UPPER_T) batch.flags[i]! |= FLAG_OWN;
  return line.slice(channelAt, channelEnd);
}

function badLine(line: string, wanted: string): CanfleetError {
  const shown = line.length > 100 ? `${line.slice(0, 100)}…` : line.trimEnd();
  return new CanfleetError("TEXT_BAD_LINE", `"${shown}": expected ${wanted}`);
}

/** The number; -1 where something else than digits is in it. */
function readDigits(line: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const code = line.charCodeAt(at);
    if (code < ZERO || code > NINE) return -1;
    value = value * 10 + code - ZERO;
  }
  return value;
}

/** Control characters count as blanks: tabs, and the line end. */
function skipBlanks(line: string, from: number): number {
  let at = from;
  while (at < line.length && line.charCodeAt(at) <= BLANK) at++;
  return at;
}

function skipWord(line: string, from: number): number {
  let at = from;
  while (at < line.length && line.charCodeAt(at) > BLANK) at++;
  return at;
}

/** The letter at the end of the line; 0 where there is none. */
function readDirection(line: string, at: number): number {
  if (at === line.length) return 0;
  const letter = line.charCodeAt(at);
  if ((letter === UPPER_R || letter === UPPER_T) && skipBlanks(line, at + 1) === line.length) return letter;
  throw badLine(line, "nothing, R or T after the frame");
}

/** What a log line may tell besides `candump -L`. */
export interface LogLineOptions {
  /** Ends the line with ` T` for frames that the capturing host sent itself, ` R` for others (`-x`). Default false. */
  direction?: boolean;
  /** Writes nine decimals (`-N`). Default false. */
  ns?: boolean;
}

/** Frame `i` as `candump -L` prints it, without a line end. `channel` is the interface name and holds no blanks. */
export function formatLogLine(batch: FrameBatch, i: number, channel: string, options: LogLineOptions = {}): string {
  const nanos = options.ns ? padded(batch.timestampNs[i]!, 3) : "";
  const direction = options.direction ? (batch.flags[i]! & FLAG_OWN ? " T" : " R") : "";
  return `(${secondsText(batch.timestampUs[i]!, 10)}${nanos}) ${channel} ${formatFrame(batch, i)}${direction}`;
}

/** What candump writes into a log where its socket lost frames. */
export interface LogDrop {
  channel: string;
  /** Frames lost at this place. */
  dropped: number;
  /** Frames lost on this interface up to here. */
  total: number;
}

const DROP_LINE = /^DROPCOUNT: dropped (\d{1,10}) CAN frames? on '([^']+)' socket \(total drops (\d{1,10})\)\s*$/;

/** Reads a line in which candump tells a loss; undefined for every other line. */
export function parseDropLine(line: string): LogDrop | undefined {
  if (!line.startsWith("DROPCOUNT:")) return undefined;
  const [, dropped, channel = "", total] = DROP_LINE.exec(line) ?? [];
  if (dropped === undefined) return undefined;
  return { channel, dropped: Number(dropped), total: Number(total) };
}

/** The line by which candump tells a loss, without a line end. */
export function formatDropLine(drop: LogDrop): string {
  const frames = `${drop.dropped} CAN frame${drop.dropped > 1 ? "s" : ""}`;
  return `DROPCOUNT: dropped ${frames} on '${drop.channel}' socket (total drops ${drop.total})`;
}
