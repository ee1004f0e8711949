import type { FrameBatch } from "../can/frame-batch.ts";
import { BatchBuilder, type BatchHead } from "./batch-builder.ts";
import { ByteTail, viewOf } from "./byte-tail.ts";
import {
  decodeRecord,
  GREETING_SIZE,
  isPlausibleRecord,
  RECORD_UNKNOWN_FLAGS,
  secondsOfRecord,
  signalAt,
  type RecordForm,
  type RecordSize,
  type Signal,
} from "./record.ts";

/** Two records in a row belong to one stream when their times are less apart than this. */
const MAX_APART_SECONDS = 10;
/** Bytes of two of the longest records: with so many at hand the form is known, or these bytes are none. */
const DECIDING_BYTES = 58;
const HEAD: BatchHead = { epoch: 0, seq: -1, unknownFlags: RECORD_UNKNOWN_FLAGS };

/** Where a record stream puts what it finds. */
export interface RecordSink {
  /** Frames in order; the batch becomes the sink's own. `lost` is `{link: null}` after bytes were skipped. */
  frames(batch: FrameBatch): void;
  /** The first record was a canfleet edge's offer of the extended link. */
  greeting(): void;
  /** The first record was the challenge of an edge that wants a token: nothing more is read. */
  challenge(): void;
  /** The edge took up the hello: `rest` and all later bytes are the extended link, and no longer this stream's. */
  accept(rest: Uint8Array): void;
}

/**
 * Reads records that an edge sent, in any split: finds their form from the bytes, and finds them again after rubbish
 * (docs/wire-tcp.md 1.4). Never throws for what a peer sends.
 */
export class RecordStream {
  readonly #sink: RecordSink;
  readonly #batch: BatchBuilder;
  readonly #tail = new ByteTail();
  readonly #nowUs: () => number;
  readonly #mayUpgrade: boolean;
  #size: RecordSize | undefined;
  #state: "first" | "search" | "read" | "done" = "first";
  #greeted = false;
  /** Offset of the first byte that is not read yet. */
  #at = 0;
  /** Bytes that were part of no record. */
  skippedBytes = 0;

  /**
   * @param record "auto", or the size when it is known: then there is no upgrade either, and a greeting is passed over
   * @param nowUs time for 13-byte records, which have none, µs since 1970
   */
  constructor(record: RecordForm, sink: RecordSink, nowUs: () => number = () => Date.now() * 1000) {
    this.#sink = sink;
    this.#nowUs = nowUs;
    this.#size = record === "auto" ? undefined : record;
    this.#mayUpgrade = record === "auto";
    this.#batch = new BatchBuilder((batch) => sink.frames(batch));
  }

  /** Bytes of a record, once known. */
  get size(): RecordSize | undefined {
    return this.#state === "first" ? undefined : this.#size;
  }

  /** Whether bytes wait whose meaning more bytes, or `quiet`, would decide. */
  get isUndecided(): boolean {
    return (this.#state === "first" || this.#state === "search") && this.#tail.length > 0;
  }

  /** Takes the next bytes; all but an unfinished end is read at once. */
  read(chunk: Uint8Array): void {
    this.#take(this.#tail.join(chunk), false);
  }

  /** Nothing came for 50 ms: what waits is taken for what it can be. */
  quiet(): void {
    if (this.isUndecided) this.#take(this.#tail.join(new Uint8Array(0)), true);
  }

  #take(bytes: Uint8Array, isQuiet: boolean): void {
    const view = viewOf(bytes);
    this.#at = 0;
    while (this.#state === "read" || this.#find(bytes, view, isQuiet)) {
      const size = this.#size!;
      if (!this.#readRows(bytes, view, size) || this.#at + size > bytes.length) break;
      this.#lose();
    }
    if (this.#state !== "done" && this.#at < bytes.length) this.#tail.keep(bytes, this.#at);
    this.#batch.finish(HEAD);
  }

  /**
   * Reads records as far as they are whole and plausible.
   *
   * @returns false when the stream ended with the accept
   */
  #readRows(bytes: Uint8Array, view: DataView, size: RecordSize): boolean {
    const rows = this.#batch.rows;
    const nowUs = this.#nowUs();
    let at = this.#at;
    for (; at + size <= bytes.length && isPlausibleRecord(view, at, size); at += size) {
      if (this.#greeted && signalAt(bytes, view, at) === "accept") {
        this.#accept(bytes, at + size);
        return false;
      }
      this.#batch.room(HEAD);
      decodeRecord(bytes, view, at, size, rows, nowUs);
    }
    this.#at = at;
    return true;
  }

  #accept(bytes: Uint8Array, at: number): void {
    this.#batch.finish(HEAD);
    this.#state = "done";
    this.#sink.accept(bytes.subarray(at));
  }

  #lose(): void {
    this.#batch.finish(HEAD);
    this.#state = "search";
  }

  /** Moves to where records begin. @returns false when more bytes are needed to tell */
  #find(bytes: Uint8Array, view: DataView, isQuiet: boolean): boolean {
    const from = this.#at;
    let found: RecordSize | "none" | "unknown" = "none";
    for (; this.#at < bytes.length; this.#at++) {
      found = this.#sizeAt(bytes, view, isQuiet);
      if (found !== "none") break;
      this.#state = "search";
    }
    this.#skip(this.#at - from);
    if (typeof found === "string") return false;
    return this.#begin(bytes, view, found);
  }

  #skip(count: number): void {
    if (count === 0) return;
    this.skippedBytes += count;
    this.#batch.lose({ link: null });
  }

  /** @returns false when the stream is not this reader's */
  #begin(bytes: Uint8Array, view: DataView, size: RecordSize): boolean {
    const signal = this.#state === "first" ? this.#firstSignal(bytes, view) : undefined;
    this.#size = size;
    this.#state = "read";
    if (signal === "challenge") {
      this.#state = "done";
      this.#sink.challenge();
      return false;
    }
    if (signal !== "greeting") return true;
    this.#at += GREETING_SIZE;
    if (!this.#mayUpgrade) return true;
    this.#greeted = true;
    this.#sink.greeting();
    return true;
  }

  #firstSignal(bytes: Uint8Array, view: DataView): Signal | undefined {
    const canBe = (this.#size ?? GREETING_SIZE) === GREETING_SIZE && bytes.length - this.#at >= GREETING_SIZE;
    return canBe ? signalAt(bytes, view, this.#at) : undefined;
  }

  #sizeAt(bytes: Uint8Array, view: DataView, isQuiet: boolean): RecordSize | "none" | "unknown" {
    const at = this.#at;
    const left = bytes.length - at;
    const isFirst = this.#state === "first";
    if (this.#size !== undefined) return knownSizeAt(view, at, left, this.#size, isFirst || isQuiet);
    const signal = isFirst ? this.#firstSignal(bytes, view) : undefined;
    if (signal === "greeting" || signal === "challenge") return GREETING_SIZE;
    return isQuiet ? quietSizeAt(view, at, left) : freeSizeAt(view, at, left);
  }
}

/** Of a form that is known: one plausible record is enough at the start and when quiet, else two in a row. */
function knownSizeAt(
  view: DataView,
  at: number,
  left: number,
  size: RecordSize,
  oneWillDo: boolean,
): RecordSize | "none" | "unknown" {
  if (left < size) return "unknown";
  if (!isPlausibleRecord(view, at, size)) return "none";
  if (oneWillDo) return size;
  if (left < 2 * size) return "unknown";
  return areInARow(view, at, size) ? size : "none";
}

/** The longest form of which two records in a row are plausible; "unknown" while a longer one still may be. */
function freeSizeAt(view: DataView, at: number, left: number): RecordSize | "none" | "unknown" {
  for (const size of [29, 21, 13] as const) {
    if (left < size) return "unknown";
    if (!isPlausibleRecord(view, at, size)) continue;
    if (left < 2 * size) return "unknown";
    if (areInARow(view, at, size)) return size;
  }
  return left < DECIDING_BYTES ? "unknown" : "none";
}

/** The longest form of which all the bytes, and no more, are plausible records. */
function quietSizeAt(view: DataView, at: number, left: number): RecordSize | "none" | "unknown" {
  for (const size of [29, 21, 13] as const) {
    if (left % size !== 0) continue;
    let end = at;
    while (end < at + left && isPlausibleRecord(view, end, size)) end += size;
    if (end === at + left) return size;
  }
  return "unknown";
}

function areInARow(view: DataView, at: number, size: RecordSize): boolean {
  if (!isPlausibleRecord(view, at, size) || !isPlausibleRecord(view, at + size, size)) return false;
  return Math.abs(secondsOfRecord(view, at, size) - secondsOfRecord(view, at + size, size)) < MAX_APART_SECONDS;
}
