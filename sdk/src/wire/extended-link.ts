import { isErrorWord, isRemoteWord, isValidIdWord } from "../can/id.ts";
import { isFdLength, MAX_CLASSIC_LENGTH } from "../can/dlc.ts";
import { addLoss, addLosses, FLAG_BRS, FLAG_ESI, FLAG_FD, type FrameBatch, type Losses } from "../can/frame-batch.ts";
import type { SendCode } from "./send-request.ts";
import { SEND_CODES } from "./send-request.ts";

/**
 * Items of the extended link (docs/wire-tcp.md 3), little-endian. The first byte is the tag: 0–71 a frame, 128–255
 * control.
 *
 * | frame, edge to host | offset | frame, host to edge          | offset |
 * | ------------------- | ------ | ---------------------------- | ------ |
 * | tag                 | 0      | tag                          | 0      |
 * | flags               | 1      | flags                        | 1      |
 * | id word             | 2–5    | id word                      | 2–5    |
 * | ns since the last   | 6–9    | number of the send, 0: none  | 6–9    |
 * | payload             | 10–    | time to live, ms, 0: default | 10–13  |
 * |                     |        | payload                      | 14–    |
 */
export const EDGE_FRAME_HEAD = 10;
export const HOST_FRAME_HEAD = 14;
/** Tags 65–71: a classic frame of 8 bytes with raw DLC 9–15. */
export const RAW_DLC_TAG = 56;
export const MAX_FRAME_TAG = 71;
export const MIN_CONTROL_TAG = 128;

export const TAG_SYNC = 128;
export const TAG_TIME = 129;
export const TAG_LOSS = 130;
export const TAG_HEARTBEAT = 131;
export const TAG_RESULT = 132;
export const TAG_CLOCK = 133;
export const TAG_ASKED = 134;

export const SYNC_BODY = 25;
export const TIME_BODY = 8;
export const LOSS_HEAD = 4;
export const HOST_HEARTBEAT_BODY = 8;
export const EDGE_HEARTBEAT_BODY = 16;
export const RESULT_BODY = 13;
export const CLOCK_BODY = 8;
/** A loss whose number nobody knows. */
export const UNKNOWN_COUNT = 0xffffffff;
/** A sequence number that says: these frames have none. */
export const NO_SEQ = 0xffff_ffff_ffff_ffffn;

const CLASSIC_FLAGS_GONE = ~(FLAG_BRS | FLAG_ESI);
const MAX_DELTA_NS = 0xffffffff;
const MAX_PLACES = 8;
const MAX_PLACE_BYTES = 32;
/** What the losses before a frame take at most. */
export const MAX_LOSSES_BYTES = MAX_PLACES * (2 + LOSS_HEAD + MAX_PLACE_BYTES);
const MAX_ROW_BYTES = 2 + SYNC_BODY + 2 + LOSS_HEAD + MAX_PLACE_BYTES + 2 + TIME_BODY + EDGE_FRAME_HEAD;

/** The tag of frame `i`; -1 when the link cannot hold it: no kernel makes such a frame. */
export function tagOf(batch: FrameBatch, i: number): number {
  const length = batch.length[i]!;
  const idWord = batch.idWord[i]!;
  if (!isValidIdWord(idWord)) return -1;
  if (batch.flags[i]! & FLAG_FD)
    return isFdLength(length) && !isRemoteWord(idWord) && !isErrorWord(idWord) ? length : -1;
  if (length > MAX_CLASSIC_LENGTH) return -1;
  const dlc = batch.dlc[i]!;
  return length === MAX_CLASSIC_LENGTH && dlc > MAX_CLASSIC_LENGTH && dlc <= 15 ? RAW_DLC_TAG + dlc : length;
}

/** Whether a peer's tag, flags and id word go together as one frame. */
export function isFrameHead(tag: number, flags: number, idWord: number): boolean {
  if (!isValidIdWord(idWord)) return false;
  if (flags & FLAG_FD) return tag <= 64 && isFdLength(tag) && !isRemoteWord(idWord) && !isErrorWord(idWord);
  return (tag <= MAX_CLASSIC_LENGTH || (tag > 64 && tag <= MAX_FRAME_TAG)) && (flags & (FLAG_BRS | FLAG_ESI)) === 0;
}

/** Payload bytes that follow the head of a frame. */
export function payloadBytesOf(tag: number, idWord: number): number {
  if (isRemoteWord(idWord)) return 0;
  return tag > 64 ? MAX_CLASSIC_LENGTH : tag;
}

/** Bytes that `EdgeEncoder.encode` takes for these rows at most. */
export function maxEncodedBytes(batch: FrameBatch, from = 0, to = batch.count): number {
  return 2 * MAX_LOSSES_BYTES + (to - from) * MAX_ROW_BYTES + batch.dataOffset[to]! - batch.dataOffset[from]!;
}

/** Writes what an edge says: frames with their times as differences, and what else a host must know to read them. */
export class EdgeEncoder {
  #timeUs = 0;
  #timeNs = 0;
  #epoch = 0;
  #unknownFlags = 0;
  #nextSeq = -1;
  #isSynced = false;
  #target: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #end = 0;
  /** Frames dropped before the next one, to be told with it. */
  #dropped: Losses | undefined;
  /** Frames that could not be written; they are told as lost at `link`. */
  skipped = 0;

  /** Sequence number of the frame that comes next, -1 where frames have none. */
  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** Frames lost at `link` before the next frame, and what their own batch said to be lost. */
  lose(frames: number, before: Losses = {}): void {
    this.#dropped ??= {};
    addLosses(this.#dropped, before);
    addLoss(this.#dropped, "link", frames);
  }

  /**
   * Writes frames `from` up to (not including) `to`, with the batch's losses before its first frame.
   *
   * @returns the offset behind the last byte
   * @throws RangeError when `target` has less than `maxEncodedBytes` from `at` on
   */
  encode(batch: FrameBatch, target: Uint8Array, at = 0, from = 0, to = batch.count): number {
    if (target.length - at < maxEncodedBytes(batch, from, to)) throw new RangeError("the target is too small");
    this.#into(target, at);
    if (from === 0 && batch.lost) this.#putLosses(batch.lost);
    for (let i = from; i < to; i++) {
      const tag = tagOf(batch, i);
      if (tag < 0) {
        this.skipped++;
        this.lose(1);
      } else {
        this.#beforeRow(batch, i);
        this.#putRow(batch, i, tag);
      }
    }
    return this.#end;
  }

  /** Writes the losses that wait, although no frame follows yet. Takes `MAX_LOSSES_BYTES` at most. */
  flushLosses(target: Uint8Array, at: number): number {
    this.#into(target, at);
    this.#putDropped();
    return this.#end;
  }

  #into(target: Uint8Array, at: number): void {
    if (this.#target !== target) {
      this.#target = target;
      this.#view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    }
    this.#end = at;
  }

  #beforeRow(batch: FrameBatch, i: number): void {
    this.#putDropped();
    const seq = batch.seq < 0 ? -1 : batch.seq + i;
    const isNew = seq !== this.#nextSeq || batch.epoch !== this.#epoch || batch.unknownFlags !== this.#unknownFlags;
    if (isNew || !this.#isSynced) this.#putSync(batch, i, seq);
    this.#nextSeq = seq < 0 ? -1 : seq + 1;
  }

  #putSync(batch: FrameBatch, i: number, seq: number): void {
    this.#isSynced = true;
    this.#epoch = batch.epoch;
    this.#unknownFlags = batch.unknownFlags;
    const body = this.#control(TAG_SYNC, SYNC_BODY);
    this.#view.setBigUint64(body, toU64(batch.epoch), true);
    this.#view.setBigUint64(body + 8, seq < 0 ? NO_SEQ : BigInt(seq), true);
    this.#putTime(body + 16, batch, i);
    this.#target[body + 24] = batch.unknownFlags;
  }

  #putTime(at: number, batch: FrameBatch, i: number): void {
    this.#timeUs = batch.timestampUs[i]!;
    this.#timeNs = batch.timestampNs[i]!;
    this.#view.setBigUint64(at, toU64(this.#timeUs) * 1000n + BigInt(this.#timeNs), true);
  }

  #putRow(batch: FrameBatch, i: number, tag: number): void {
    let delta = (batch.timestampUs[i]! - this.#timeUs) * 1000 + batch.timestampNs[i]! - this.#timeNs;
    if (!(delta >= 0 && delta <= MAX_DELTA_NS)) {
      this.#putTime(this.#control(TAG_TIME, TIME_BODY), batch, i);
      delta = 0;
    }
    this.#timeUs = batch.timestampUs[i]!;
    this.#timeNs = batch.timestampNs[i]!;
    const at = this.#end;
    putHead(this.#target, this.#view, at, batch, i, tag);
    this.#view.setUint32(at + 6, delta, true);
    this.#end = putPayload(this.#target, at + EDGE_FRAME_HEAD, batch, i);
  }

  #putDropped(): void {
    if (!this.#dropped) return;
    this.#putLosses(this.#dropped);
    this.#dropped = undefined;
  }

  #putLosses(losses: Losses): void {
    for (const place of Object.keys(losses).slice(0, MAX_PLACES)) {
      this.#putLoss(place.slice(0, MAX_PLACE_BYTES), losses[place] ?? null);
    }
  }

  #putLoss(place: string, frames: number | null): void {
    const body = this.#control(TAG_LOSS, LOSS_HEAD + place.length);
    this.#view.setUint32(body, frames === null ? UNKNOWN_COUNT : Math.min(frames, UNKNOWN_COUNT - 1), true);
    for (let n = 0; n < place.length; n++) this.#target[body + LOSS_HEAD + n] = place.charCodeAt(n) & 0x7f;
  }

  /** @returns the offset of the body */
  #control(tag: number, bodyBytes: number): number {
    const body = putControl(this.#target, this.#end, tag, bodyBytes);
    this.#end = body + bodyBytes;
    return body;
  }
}

function putControl(target: Uint8Array, at: number, tag: number, bodyBytes: number): number {
  target[at] = tag;
  target[at + 1] = bodyBytes;
  return at + 2;
}

function putHead(target: Uint8Array, view: DataView, at: number, batch: FrameBatch, i: number, tag: number): void {
  const flags = batch.flags[i]!;
  target[at] = tag;
  // Classic frames have neither a second bit rate nor an error state; readers refuse such a pair.
  target[at + 1] = flags & FLAG_FD ? flags : flags & CLASSIC_FLAGS_GONE;
  view.setUint32(at + 2, batch.idWord[i]!, true);
}

function putPayload(target: Uint8Array, at: number, batch: FrameBatch, i: number): number {
  const from = batch.dataOffset[i]!;
  const bytes = batch.dataOffset[i + 1]! - from;
  for (let n = 0; n < bytes; n++) target[at + n] = batch.data[from + n]!;
  return at + bytes;
}

function toU64(us: number): bigint {
  return us > 0 && us <= Number.MAX_SAFE_INTEGER ? BigInt(Math.trunc(us)) : 0n;
}

/** The flags that a host can ask for. */
export const SENDABLE_FLAGS = FLAG_FD | FLAG_BRS | FLAG_ESI;

/**
 * Writes frame `i` as a host asks for it; the caller has made sure that `tagOf` is not negative and 78 bytes are free.
 *
 * @param number to be named in the result; 0: no result wanted
 * @param ttlMs from the last `asked`, 1 or more; 0: the edge's default
 * @returns the offset behind the last byte
 */
export function encodeHostFrame(
  batch: FrameBatch,
  i: number,
  number: number,
  ttlMs: number,
  target: Uint8Array,
  view: DataView,
  at: number,
): number {
  putHead(target, view, at, batch, i, tagOf(batch, i));
  target[at + 1]! &= SENDABLE_FLAGS;
  view.setUint32(at + 6, number, true);
  view.setUint32(at + 10, ttlMs, true);
  return putPayload(target, at + HOST_FRAME_HEAD, batch, i);
}

/** A heartbeat; `nextSeq` only from the edge, -1 where frames have no numbers. */
export function encodeHeartbeat(clockUs: number, nextSeq?: number): Uint8Array {
  const bodyBytes = nextSeq === undefined ? HOST_HEARTBEAT_BODY : EDGE_HEARTBEAT_BODY;
  const bytes = new Uint8Array(2 + bodyBytes);
  const body = putControl(bytes, 0, TAG_HEARTBEAT, bodyBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(body, toU64(clockUs), true);
  if (nextSeq !== undefined) view.setBigUint64(body + 8, nextSeq < 0 ? NO_SEQ : BigInt(nextSeq), true);
  return bytes;
}

/** Bytes of a clock item, and of an asked item. */
export const CLOCK_BYTES = 2 + CLOCK_BODY;

/**
 * Writes a time of the edge's monotonic clock, whole µs: what it is now, from the edge, or when the frames that follow
 * were handed to the connection, from a host.
 *
 * @returns the offset behind the last byte
 */
export function encodeEdgeClock(
  tag: typeof TAG_CLOCK | typeof TAG_ASKED,
  atUs: number,
  target: Uint8Array,
  at: number,
): number {
  const body = putControl(target, at, tag, CLOCK_BODY);
  new DataView(target.buffer, target.byteOffset, target.byteLength).setBigUint64(body, toU64(atUs), true);
  return body + CLOCK_BODY;
}

/** Bytes of a result item. */
export const RESULT_BYTES = 2 + RESULT_BODY;

/**
 * Writes what became of a send.
 *
 * @param timestampUs kernel time of the frame's echo; undefined where there is none
 */
export function encodeResult(
  number: number,
  code: SendCode,
  timestampUs: number | undefined,
  target: Uint8Array,
  at: number,
): number {
  const body = putControl(target, at, TAG_RESULT, RESULT_BODY);
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setUint32(body, number, true);
  target[body + 4] = SEND_CODES.indexOf(code);
  view.setBigUint64(body + 5, toU64(timestampUs ?? 0) * 1000n, true);
  return body + RESULT_BODY;
}
