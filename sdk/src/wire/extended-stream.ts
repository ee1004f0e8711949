import { ERR_FLAG } from "../can/id.ts";
import { dlcOfLength } from "../can/dlc.ts";
import { addLoss, ALL_FLAGS, type FrameBatch, type Losses } from "../can/frame-batch.ts";
import { CanfleetError } from "../errors.ts";
import { BatchBuilder, type BatchHead } from "./batch-builder.ts";
import { ByteTail, viewOf } from "./byte-tail.ts";
import {
  CLOCK_BODY,
  EDGE_FRAME_HEAD,
  HOST_FRAME_HEAD,
  isFrameHead,
  LOSS_HEAD,
  MAX_FRAME_TAG,
  MIN_CONTROL_TAG,
  NO_SEQ,
  payloadBytesOf,
  RAW_DLC_TAG,
  RESULT_BODY,
  SENDABLE_FLAGS,
  SYNC_BODY,
  TAG_ASKED,
  TAG_CLOCK,
  TAG_HEARTBEAT,
  TAG_LOSS,
  TAG_RESULT,
  TAG_SYNC,
  TAG_TIME,
  TIME_BODY,
  UNKNOWN_COUNT,
} from "./extended-link.ts";
import { SEND_CODES, type SendCode } from "./send-request.ts";

const FRAME_FLAGS_AT = 1;
const FRAME_ID_AT = 2;
/** Tag, flags and id word: as much of a frame as says how long it is. */
const FRAME_KEY_BYTES = 6;
const MAX_PLACE_BYTES = 32;
const MAX_PLACES = 16;

/** What both directions share: items out of any split of the bytes, every length checked before it is used. */
abstract class ItemStream {
  readonly #tail = new ByteTail();
  readonly #headBytes: number;
  protected bytes: Uint8Array = new Uint8Array(0);
  protected view: DataView = new DataView(new ArrayBuffer(0));

  protected constructor(headBytes: number) {
    this.#headBytes = headBytes;
  }

  /** Whether this direction may hold such a frame. */
  protected abstract isAllowed(flags: number, idWord: number): boolean;
  protected abstract frame(at: number, tag: number, idWord: number, payloadBytes: number): void;
  protected abstract control(tag: number, body: number, bodyBytes: number): void;
  /** All whole items of a chunk were read. */
  protected abstract chunkEnd(): void;

  /**
   * Takes the next bytes and hands out what is in them; an unfinished item waits for more.
   *
   * @throws CanfleetError `WIRE_BAD_RECORD` when the bytes are no items; the stream must not be used again
   */
  read(chunk: Uint8Array): void {
    this.bytes = this.#tail.join(chunk);
    this.view = viewOf(this.bytes);
    let at = 0;
    while (at < this.bytes.length) {
      const end = this.#item(at);
      if (end < 0) break;
      at = end;
    }
    if (at < this.bytes.length) this.#tail.keep(this.bytes, at);
    this.chunkEnd();
  }

  /** @returns the offset behind the item; -1 when it is not whole yet */
  #item(at: number): number {
    const tag = this.bytes[at]!;
    if (tag <= MAX_FRAME_TAG) return this.#frame(at, tag);
    if (tag < MIN_CONTROL_TAG) throw bad(`tag ${tag}`);
    if (at + 2 > this.bytes.length) return -1;
    const end = at + 2 + this.bytes[at + 1]!;
    if (end > this.bytes.length) return -1;
    this.control(tag, at + 2, end - at - 2);
    return end;
  }

  #frame(at: number, tag: number): number {
    if (at + FRAME_KEY_BYTES > this.bytes.length) return -1;
    const flags = this.bytes[at + FRAME_FLAGS_AT]!;
    const idWord = this.view.getUint32(at + FRAME_ID_AT, true);
    if (!isFrameHead(tag, flags, idWord) || !this.isAllowed(flags, idWord)) {
      throw bad(`no frame has tag ${tag}, flags ${flags} and id word ${idWord.toString(16)}`);
    }
    const payloadBytes = payloadBytesOf(tag, idWord);
    const end = at + this.#headBytes + payloadBytes;
    if (end > this.bytes.length) return -1;
    this.frame(at, tag, idWord, payloadBytes);
    return end;
  }

  protected edgeClock(body: number, bodyBytes: number, name: string): number {
    need(bodyBytes, CLOCK_BODY, name);
    return safeNumber(this.view.getBigUint64(body, true), name);
  }

  /** Adds a row; its time is the caller's. */
  protected pushRow(rows: FrameBatch, at: number, tag: number, idWord: number, payloadBytes: number): void {
    const i = rows.count;
    rows.idWord[i] = idWord;
    rows.length[i] = tag > 64 ? 8 : tag;
    rows.dlc[i] = tag > 64 ? tag - RAW_DLC_TAG : dlcOfLength(tag);
    rows.flags[i] = this.bytes[at + FRAME_FLAGS_AT]! & ALL_FLAGS;
    const offset = rows.dataOffset[i]!;
    const from = at + this.#headBytes;
    for (let n = 0; n < payloadBytes; n++) rows.data[offset + n] = this.bytes[from + n]!;
    rows.dataOffset[i + 1] = offset + payloadBytes;
    rows.count = i + 1;
  }
}

function bad(text: string): CanfleetError {
  return new CanfleetError("WIRE_BAD_RECORD", `extended link: ${text}`);
}

/** Where the host's decoder puts what an edge said. */
export interface EdgeItemSink {
  /** Frames in order, with epoch, seq, losses and unknown flags; the batch becomes the sink's own. */
  frames(batch: FrameBatch): void;
  /** What became of a send. `timestampUs`: kernel time of the echo, undefined where there is none. */
  result(number: number, code: SendCode, timestampUs: number | undefined): void;
  /** What the edge's monotonic clock showed when it said so, µs. */
  clock(atUs: number): void;
}

/** Reads what an edge says on the extended link. */
export class EdgeItemStream extends ItemStream {
  readonly #sink: EdgeItemSink;
  readonly #batch: BatchBuilder;
  readonly #head: BatchHead = { epoch: 0, seq: -1, unknownFlags: 0 };
  #lost: Losses | undefined;
  #isSynced = false;
  #timeUs = 0;
  #timeNs = 0;

  constructor(sink: EdgeItemSink) {
    super(EDGE_FRAME_HEAD);
    this.#sink = sink;
    this.#batch = new BatchBuilder((batch) => sink.frames(batch));
  }

  protected isAllowed(): boolean {
    return true;
  }

  protected frame(at: number, tag: number, idWord: number, payloadBytes: number): void {
    if (!this.#isSynced) throw bad("a frame before the first sync");
    if (this.#lost) this.#startAfterLoss(this.#lost);
    this.#batch.room(this.#head);
    const ns = this.#timeNs + this.view.getUint32(at + 6, true);
    this.#timeUs += Math.floor(ns / 1000);
    this.#timeNs = ns % 1000;
    const rows = this.#batch.rows;
    rows.timestampUs[rows.count] = this.#timeUs;
    rows.timestampNs[rows.count] = this.#timeNs;
    this.pushRow(rows, at, tag, idWord, payloadBytes);
    if (this.#head.seq >= 0) this.#head.seq++;
  }

  #startAfterLoss(lost: Losses): void {
    this.#batch.finish(this.#head);
    this.#batch.lose(lost);
    this.#lost = undefined;
  }

  protected control(tag: number, body: number, bodyBytes: number): void {
    if (tag === TAG_SYNC) this.#sync(body, bodyBytes);
    else if (tag === TAG_TIME) this.#readTime(body, bodyBytes, TIME_BODY);
    else if (tag === TAG_LOSS) this.#loss(body, bodyBytes);
    else if (tag === TAG_HEARTBEAT) this.#tellLosses();
    else if (tag === TAG_RESULT) this.#result(body, bodyBytes);
    else if (tag === TAG_CLOCK) this.#sink.clock(this.edgeClock(body, bodyBytes, "clock"));
  }

  #sync(body: number, bodyBytes: number): void {
    need(bodyBytes, SYNC_BODY, "sync");
    this.#batch.finish(this.#head);
    const seq = this.view.getBigUint64(body + 8, true);
    this.#head.epoch = safeNumber(this.view.getBigUint64(body, true), "epoch");
    this.#head.seq = seq === NO_SEQ ? -1 : safeNumber(seq, "sequence number");
    this.#head.unknownFlags = this.bytes[body + 24]!;
    this.#readTime(body + 16, TIME_BODY, TIME_BODY);
    this.#isSynced = true;
  }

  #readTime(at: number, bodyBytes: number, wanted: number): void {
    need(bodyBytes, wanted, "time");
    const ns = this.view.getBigUint64(at, true);
    this.#timeUs = safeNumber(ns / 1000n, "time");
    this.#timeNs = Number(ns % 1000n);
  }

  #loss(body: number, bodyBytes: number): void {
    need(bodyBytes, LOSS_HEAD, "loss");
    const frames = this.view.getUint32(body, true);
    const placeBytes = Math.min(bodyBytes - LOSS_HEAD, MAX_PLACE_BYTES);
    const place = String.fromCharCode(...this.bytes.subarray(body + LOSS_HEAD, body + LOSS_HEAD + placeBytes));
    if (!/^[a-z][a-z0-9-]*$/.test(place)) throw bad("a loss at a place without a name");
    this.#lost ??= {};
    if (!(place in this.#lost) && Object.keys(this.#lost).length >= MAX_PLACES) return;
    addLoss(this.#lost, place, frames === UNKNOWN_COUNT ? null : frames);
  }

  /** A heartbeat says that no frame follows the losses for now. */
  #tellLosses(): void {
    if (!this.#lost) return;
    this.#startAfterLoss(this.#lost);
    this.#batch.finishLosses(this.#head);
  }

  #result(body: number, bodyBytes: number): void {
    need(bodyBytes, RESULT_BODY, "result");
    // Codes that a later edge may add are failures to this host.
    const code = SEND_CODES[this.bytes[body + 4]!] ?? "failed";
    const ns = this.view.getBigUint64(body + 5, true);
    const timestampUs = ns === 0n ? undefined : safeNumber(ns / 1000n, "time");
    this.#sink.result(this.view.getUint32(body, true), code, timestampUs);
  }

  protected chunkEnd(): void {
    this.#batch.finish(this.#head);
  }
}

function need(bodyBytes: number, wanted: number, name: string): void {
  if (bodyBytes < wanted) throw bad(`${name} of ${bodyBytes} bytes, expected ${wanted} or more`);
}

function safeNumber(value: bigint, name: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`${name} ${value.toString()} is out of range`);
  return Number(value);
}

/** Where the edge's decoders put what a host asked for. */
export interface HostItemSink {
  /**
   * Frames to send, in order; everything becomes the sink's own.
   *
   * @param numbers to be named in the result of each row; 0: no result wanted
   * @param ttlMs 0: the edge's default
   * @param askedUs what the edge's monotonic clock showed when they were asked for, from which `ttlMs` counts;
   * undefined: the host did not say
   */
  frames(batch: FrameBatch, numbers: Uint32Array, ttlMs: number, askedUs: number | undefined): void;
}

const NO_HEAD: BatchHead = { epoch: 0, seq: -1, unknownFlags: 0 };

/** Reads what a host says on the extended link. Rows of one time to live and one time of asking stay together. */
export class HostItemStream extends ItemStream {
  readonly #batch: BatchBuilder;
  readonly #numbers: Uint32Array;
  #ttlMs = 0;
  #askedUs: number | undefined;

  constructor(sink: HostItemSink) {
    super(HOST_FRAME_HEAD);
    this.#batch = new BatchBuilder((batch) =>
      sink.frames(batch, this.#numbers.slice(0, batch.count), this.#ttlMs, this.#askedUs),
    );
    this.#numbers = new Uint32Array(this.#batch.rows.capacity);
  }

  protected isAllowed(flags: number, idWord: number): boolean {
    return (flags & ~SENDABLE_FLAGS) === 0 && (idWord & ERR_FLAG) === 0;
  }

  protected frame(at: number, tag: number, idWord: number, payloadBytes: number): void {
    const ttlMs = this.view.getUint32(at + 10, true);
    if (ttlMs !== this.#ttlMs) {
      this.#batch.finish(NO_HEAD);
      this.#ttlMs = ttlMs;
    }
    this.#batch.room(NO_HEAD);
    const rows = this.#batch.rows;
    this.#numbers[rows.count] = this.view.getUint32(at + 6, true);
    rows.timestampUs[rows.count] = 0;
    rows.timestampNs[rows.count] = 0;
    this.pushRow(rows, at, tag, idWord, payloadBytes);
  }

  /** Heartbeats need no answer, and tags of later versions are skipped. */
  protected control(tag: number, body: number, bodyBytes: number): void {
    if (tag !== TAG_ASKED) return;
    this.#batch.finish(NO_HEAD);
    this.#askedUs = this.edgeClock(body, bodyBytes, "asked");
  }

  protected chunkEnd(): void {
    this.#batch.finish(NO_HEAD);
  }
}
