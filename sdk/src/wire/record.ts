import { ERR_FLAG, isErrorWord, isRemoteWord, isValidIdWord } from "../can/id.ts";
import { MAX_CLASSIC_LENGTH } from "../can/dlc.ts";
import { FLAG_ECHO, FLAG_FD, FLAG_OWN, type FrameBatch } from "../can/frame-batch.ts";

/**
 * Records of the raw link (docs/wire-tcp.md 1), little-endian, one frame each:
 *
 * | field                     | 21-byte | 29-byte | 13-byte |
 * | ------------------------- | ------- | ------- | ------- |
 * | seconds since 1970 UTC    | 0–3     | 0–7     | –       |
 * | microseconds              | 4–7     | 8–15    | –       |
 * | id word u32               | 8–11    | 16–19   | 0–3     |
 * | DLC u8                    | 12      | 20      | 4       |
 * | data, always 8 bytes      | 13–20   | 21–28   | 5–12    |
 */
export type RecordSize = 13 | 21 | 29;

/** How a record link is spoken: found from the bytes, or set by hand. */
export type RecordForm = "auto" | RecordSize;

/** Records in one write towards a socketsocketcan client at most: 1,443 bytes, which one TCP segment holds. */
export const MAX_RECORDS_PER_WRITE = 111;

/** Bytes behind the time in every record: id word, DLC, data. */
const FRAME_BYTES = 13;
const DATA_BYTES = 8;
const US_PER_SECOND = 1_000_000;

/** `FLAG_*` bits that a record cannot tell: its frames are classic, and nobody knows who sent them. */
export const RECORD_UNKNOWN_FLAGS = FLAG_OWN | FLAG_ECHO;

/** What an encoder did. */
export interface Encoded {
  /** Bytes written. */
  bytes: number;
  /** Frames left out because the format cannot hold them. */
  skipped: number;
}

/** Whether a record can hold frame `i`: CAN FD frames do not fit. A raw DLC of 9–15 is not kept (it becomes 8). */
export function fitsRecord(batch: FrameBatch, i: number): boolean {
  return (batch.flags[i]! & FLAG_FD) === 0 && batch.length[i]! <= MAX_CLASSIC_LENGTH && isValidIdWord(batch.idWord[i]!);
}

/**
 * Writes frames `from` up to (not including) `to` as records, one after the other, zeros behind the payload.
 * Frames that no record can hold are skipped.
 *
 * @param at where in `target` the first record begins
 * @throws RangeError when `target` is too small for all of them
 */
export function encodeRecords(
  batch: FrameBatch,
  size: RecordSize,
  target: Uint8Array,
  at = 0,
  from = 0,
  to = batch.count,
): Encoded {
  if (target.length - at < (to - from) * size) throw new RangeError("the target is too small for the records");
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  const timeBytes = size - FRAME_BYTES;
  let end = at;
  for (let i = from; i < to; i++) {
    if (!fitsRecord(batch, i)) continue;
    if (timeBytes > 0) putTime(view, end, timeBytes, batch.timestampUs[i]!);
    putFrame(target, view, end + timeBytes, batch, i);
    end += size;
  }
  return { bytes: end - at, skipped: to - from - (end - at) / size };
}

function putTime(view: DataView, at: number, timeBytes: number, timestampUs: number): void {
  const seconds = Math.floor(timestampUs / US_PER_SECOND);
  const half = timeBytes / 2;
  view.setUint32(at, seconds, true);
  view.setUint32(at + half, timestampUs - seconds * US_PER_SECOND, true);
  if (half === 4) return;
  view.setUint32(at + 4, 0, true);
  view.setUint32(at + half + 4, 0, true);
}

function putFrame(target: Uint8Array, view: DataView, at: number, batch: FrameBatch, i: number): void {
  view.setUint32(at, batch.idWord[i]!, true);
  target[at + 4] = batch.length[i]!;
  const data = at + 5;
  const source = batch.dataOffset[i]!;
  const stored = batch.dataOffset[i + 1]! - source;
  for (let n = 0; n < DATA_BYTES; n++) target[data + n] = n < stored ? batch.data[source + n]! : 0;
}

/** Whether the bytes at `at` can be a record of this size that a kernel's frame was written to (docs/wire-tcp.md 1.4). */
export function isPlausibleRecord(view: DataView, at: number, size: RecordSize): boolean {
  const frame = at + size - FRAME_BYTES;
  if (view.getUint8(frame + 4) > MAX_CLASSIC_LENGTH || !isValidIdWord(view.getUint32(frame, true))) return false;
  if (size === 13) return true;
  if (size === 21) return view.getUint32(at + 4, true) < US_PER_SECOND;
  return (
    view.getUint32(at + 8, true) < US_PER_SECOND &&
    view.getUint32(at + 4, true) === 0 &&
    view.getUint32(at + 12, true) === 0
  );
}

/** Whole seconds of the record at `at`; 0 for 13-byte records, which have no time. */
export function secondsOfRecord(view: DataView, at: number, size: RecordSize): number {
  return size === 13 ? 0 : view.getUint32(at, true);
}

/**
 * Adds the record at `at` to a batch that has room for 8 payload bytes. The caller has found it plausible.
 * A 13-byte record has no time: it gets `nowUs`.
 */
export function decodeRecord(
  source: Uint8Array,
  view: DataView,
  at: number,
  size: RecordSize,
  batch: FrameBatch,
  nowUs = 0,
): void {
  const frame = at + size - FRAME_BYTES;
  const i = batch.count;
  const idWord = view.getUint32(frame, true);
  const length = source[frame + 4]!;
  batch.timestampUs[i] = size === 13 ? nowUs : timeOf(view, at, size);
  batch.timestampNs[i] = 0;
  batch.idWord[i] = idWord;
  batch.length[i] = length;
  batch.dlc[i] = length;
  batch.flags[i] = 0;
  const offset = batch.dataOffset[i]!;
  const stored = isRemoteWord(idWord) ? 0 : length;
  for (let n = 0; n < stored; n++) batch.data[offset + n] = source[frame + 5 + n]!;
  batch.dataOffset[i + 1] = offset + stored;
  batch.count = i + 1;
}

function timeOf(view: DataView, at: number, size: RecordSize): number {
  return view.getUint32(at, true) * US_PER_SECOND + view.getUint32(at + (size === 21 ? 4 : 8), true);
}

/** Records by which two canfleet ends find each other (docs/wire-tcp.md 2 and 5.2): error frames that say nothing. */
export type Signal = "greeting" | "accept" | "challenge" | "refusal";

export const GREETING_SIZE = 21;
export const HELLO_SIZE = 13;
/** Offset of the code in the record of a refusal, from its id word. */
export const SIGNAL_CODE_AT = 10;
const LINK_VERSION = 1;
/** "CNFL", "CNFA", "CNFT", "CNFR". */
const MARKS: { readonly [signal in Signal]: readonly number[] } = {
  greeting: [0x43, 0x4e, 0x46, 0x4c],
  accept: [0x43, 0x4e, 0x46, 0x41],
  challenge: [0x43, 0x4e, 0x46, 0x54],
  refusal: [0x43, 0x4e, 0x46, 0x52],
};
const SIGNALS = Object.keys(MARKS) as Signal[];

/** What an edge signals, or its answer to the hello: a 21-byte record with the time `nowUs`. */
export function encodeSignal(signal: Signal, nowUs: number, code = 0): Uint8Array {
  const bytes = new Uint8Array(GREETING_SIZE);
  putSignalTime(bytes, 0, nowUs);
  putSignal(bytes, 8, signal, code);
  return bytes;
}

/** What a host signals, a 13-byte record: its "greeting" is the hello, its "challenge" the head of its proof. */
export function encodeHostSignal(signal: Signal, code = 0): Uint8Array {
  const bytes = new Uint8Array(HELLO_SIZE);
  putSignal(bytes, 0, signal, code);
  return bytes;
}

/** The host's answer to the greeting: a 13-byte record. */
export function encodeHello(): Uint8Array {
  return encodeHostSignal("greeting");
}

/** Writes the time of a 21-byte record. */
export function putSignalTime(bytes: Uint8Array, at: number, nowUs: number): void {
  putTime(new DataView(bytes.buffer, bytes.byteOffset), at, 8, nowUs);
}

/** Writes an error frame that says nothing, with 8 bytes of data, as the 13 bytes behind a record's time. */
export function putSilentFrame(bytes: Uint8Array, at: number, data: readonly number[] | Uint8Array): void {
  bytes.set([0, 0, 0, ERR_FLAG >>> 24, DATA_BYTES, ...data], at);
}

function putSignal(bytes: Uint8Array, at: number, signal: Signal, code: number): void {
  putSilentFrame(bytes, at, [...MARKS[signal], LINK_VERSION, code, 0, 0]);
}

/** What the 21-byte record at `at` is to a canfleet host; undefined: a frame like any other. */
export function signalAt(source: Uint8Array, view: DataView, at: number): Signal | undefined {
  return hostSignalAt(source, view, at + 8);
}

/** What the 13-byte record at `at` is to a canfleet edge; undefined: a frame like any other. */
export function hostSignalAt(source: Uint8Array, view: DataView, at: number): Signal | undefined {
  if (!isSilentFrameAt(source, view, at) || source[at + 9] !== LINK_VERSION) return undefined;
  return SIGNALS.find((signal) => MARKS[signal].every((byte, n) => source[at + 5 + n] === byte));
}

/** Whether the 13-byte record at `at` is the hello of a canfleet host. */
export function isHelloAt(source: Uint8Array, view: DataView, at: number): boolean {
  return hostSignalAt(source, view, at) === "greeting";
}

/** Whether the 13 bytes at `at` are an error frame that says nothing, with 8 bytes of data. */
export function isSilentFrameAt(source: Uint8Array, view: DataView, at: number): boolean {
  return view.getUint32(at, true) === ERR_FLAG && source[at + 4] === DATA_BYTES;
}

/** Whether the 13-byte record at `at` may be put on a bus: plausible, and no error frame (those are the kernel's). */
export function isSendableRecord(view: DataView, at: number): boolean {
  return isPlausibleRecord(view, at, 13) && !isErrorWord(view.getUint32(at, true));
}
