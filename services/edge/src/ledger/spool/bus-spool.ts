import { RangeSet, type GoneRange, type Range } from "@canfleet/sdk";
import type { BatchStore } from "../batch-store.ts";
import type { StoredBatch } from "../history.ts";
import type { OpenSegment } from "./open-segment.ts";
import { RECORD_BYTES, type EpochRange } from "./segment-format.ts";
import { SegmentReader } from "./segment-reader.ts";
import type { Segment } from "./segment.ts";

/** Ranges that are written down as gone at most. */
const MAX_GONE = 64;

/** How a spool is, for people. */
export type SpoolState = "starting" | "ok" | "failed";

/** What `status` says of one bus's part (docs/wire-mqtt.md, 3.3). */
export interface SpoolStatus {
  state: SpoolState;
  reason: string;
  bytes: number;
  frames: number;
  oldest: number | null;
  /** Of the whole spool. */
  syncErrors: number;
  /** The limit is reached, batches are dropped; of the whole spool. */
  dropping: boolean;
}

/** What a bus needs of the spool that it is part of. */
export interface SpoolHost {
  readonly folder: string;
  readonly state: SpoolState;
  /** Why it failed; empty when it did not. */
  readonly reason: string;
  /** The limit was reached, and there is not much room again yet. */
  readonly isFull: boolean;
  /** Syncs that failed since the start. */
  readonly syncErrors: number;
  /** Earlier lives' segments are known. */
  readonly isRecovered: boolean;
  /** Whether so many bytes more may wait to be written. */
  takes(bytes: number): boolean;
  /** There is something to write or delete. */
  wake(): void;
  /** Something can be read that could not be before. */
  ready(): void;
}

/** Learns what is lost. */
export interface SpoolLosses {
  /** `isNews`: false where an earlier life has counted them already. */
  dropped(range: GoneRange, isNews: boolean): void;
  /** Earlier lives lost frames of which nobody knows how many. */
  droppedUnknown(): void;
}

/** One bus's part of the spool: what waits to be written, and what lies in segments. */
export class BusSpool implements BatchStore {
  readonly bus: string;
  /** Oldest first. */
  segments: Segment[] = [];
  current: OpenSegment | undefined;
  /** Batches that wait to be written, in order. */
  queued: StoredBatch[] = [];
  queuedBytes = 0;
  /** Numbers written without a hole up to the last one. */
  run: Range = [0, 0];
  /** Ordinal of the newest segment of this life; 0: none. */
  lastOrdinal = 0;
  /** Nothing comes any more, and all there was is in the spool or was taken: the next life is told so. */
  isComplete = false;
  /** When it was synced last, ms. */
  syncedAtMs = -Infinity;
  /** What was dropped is to be written down: there is more of it, or a new segment. */
  #mustWriteGone = false;
  readonly #host: SpoolHost;
  readonly #losses: SpoolLosses;
  readonly #wanted = new Map<number, RangeSet>();
  readonly #gone = new Map<number, RangeSet>();
  readonly #reader: SegmentReader;

  constructor(bus: string, host: SpoolHost, losses: SpoolLosses) {
    this.bus = bus;
    this.#host = host;
    this.#losses = losses;
    this.#reader = new SegmentReader(host.folder, (segment, missing) => {
      for (const [from, to] of missing) this.#unreadable(segment, from, to);
      host.ready();
    });
  }

  get status(): SpoolStatus {
    const { state, reason, syncErrors, isFull } = this.#host;
    const { bytes, frames } = this;
    return { state, reason, bytes, frames, oldest: this.oldestUs ?? null, syncErrors, dropping: isFull };
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.segments.reduce((sum, { size }) => sum + size, 0);
  }

  /** Frames that wait for a hub. */
  get frames(): number {
    return [...this.#wanted.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** When the oldest batch on disk was written, µs since 1970. */
  get oldestUs(): number | undefined {
    return this.segments[0]?.oldestUs;
  }

  get isStarting(): boolean {
    return !this.#host.isRecovered && this.#host.state !== "failed";
  }

  epochs(): readonly number[] {
    return this.#host.isRecovered ? [...this.#wanted.keys()].sort((a, b) => a - b) : [];
  }

  within(epoch: number, from: number, to: number): Range[] {
    return this.#wanted.get(epoch)?.within(from, to) ?? [];
  }

  firstKept(epoch: number, from: number, to: number): number | undefined {
    const ofEpoch = this.segments.filter(({ id }) => id.epoch === epoch).map(({ numbers }) => numbers);
    let first = this.within(epoch, from, to)[0]?.[0];
    for (const numbers of ofEpoch) {
      const next = numbers.within(from, first ?? to)[0]?.[0];
      if (next !== undefined) first = next;
    }
    return first;
  }

  append(batch: StoredBatch): boolean {
    const bytes = RECORD_BYTES + batch.payload.length;
    if (!this.#host.takes(bytes)) return false;
    const { epoch, seq, end, payload } = batch;
    this.queued.push({ epoch, seq, end, payload });
    this.queuedBytes += bytes;
    this.want(epoch, seq, end);
    this.#host.wake();
    return true;
  }

  want(epoch: number, from: number, to: number): void {
    let wanted = this.#wanted.get(epoch);
    if (!wanted) this.#wanted.set(epoch, (wanted = new RangeSet()));
    wanted.add(from, to);
  }

  read(epoch: number, seq: number): StoredBatch | "later" | undefined {
    const queued = this.queued.find((batch) => batch.epoch === epoch && batch.seq <= seq && seq < batch.end);
    if (queued) return queued;
    const segment = this.segments.find(({ id, numbers }) => id.epoch === epoch && numbers.has(seq, seq + 1));
    const batch = segment && this.#reader.read(segment, seq);
    if (batch === undefined) this.lose(epoch, seq, seq + 1);
    if (batch === undefined) segment?.numbers.delete(seq, seq + 1);
    return batch;
  }

  #unreadable(segment: Segment, from: number, to: number): void {
    this.lose(segment.id.epoch, from, to);
    segment.numbers.delete(from, to);
  }

  settled(epoch: number, numbers: RangeSet): void {
    const wanted = this.#wanted.get(epoch);
    if (!wanted) return;
    for (const [from, to] of [...wanted]) {
      for (const [first, end] of numbers.within(from, to)) wanted.delete(first, end);
    }
    if (wanted.first === undefined) this.#wanted.delete(epoch);
    this.#host.wake();
  }

  /** Whether anybody still needs something of it. */
  isWanted({ id, numbers }: Segment): boolean {
    for (const [from, to] of numbers) if (this.within(id.epoch, from, to).length > 0) return true;
    return false;
  }

  /** States numbers as lost, as far as they were wanted. */
  lose(epoch: number, from: number, to: number): void {
    for (const [first, end] of this.within(epoch, from, to)) this.state({ epoch, from: first, to: end }, true);
  }

  /** States numbers as lost that an earlier life wrote. */
  state({ epoch, from, to }: EpochRange, isNews: boolean): void {
    const wanted = this.#wanted.get(epoch);
    wanted?.delete(from, to);
    if (wanted?.first === undefined) this.#wanted.delete(epoch);
    let gone = this.#gone.get(epoch);
    if (!gone) this.#gone.set(epoch, (gone = new RangeSet()));
    gone.add(from, to);
    this.#mustWriteGone = true;
    this.#losses.dropped({ epoch, from, to, place: "spool" }, isNews);
  }

  /** States numbers as lost that were written and are not there. */
  damaged({ epoch, from, to }: EpochRange): void {
    const gone = this.#gone.get(epoch);
    for (const [first, end] of gone ? gone.missing(from, to) : [[from, to] as const]) {
      this.state({ epoch, from: first, to: end }, true);
    }
  }

  /** States that earlier lives lost what nobody can count. */
  damagedUnknown(): void {
    this.#losses.droppedUnknown();
  }

  /** Enters a segment of an earlier life. */
  recovered(segment: Segment): void {
    this.segments.push(segment);
    for (const [from, to] of segment.numbers) this.want(segment.id.epoch, from, to);
  }

  /** Enters a new segment, which is written from now on. */
  begin(open: OpenSegment, ordinal: number): void {
    this.segments.push(open.segment);
    this.current = open;
    this.lastOrdinal = ordinal;
    this.#mustWriteGone = true;
  }

  /** What was dropped and is to be written down now, the newest ranges. */
  takeGone(): EpochRange[] {
    if (!this.#mustWriteGone) return [];
    this.#mustWriteGone = false;
    const all = [...this.#gone].flatMap(([epoch, ranges]) => [...ranges].map(([from, to]) => ({ epoch, from, to })));
    return all.slice(-MAX_GONE);
  }

  /** Takes a segment off the list whose file is gone; what was wanted of it is lost. */
  removed(segment: Segment): void {
    this.segments = this.segments.filter((other) => other !== segment);
    this.#reader.forget(segment);
    for (const [from, to] of segment.numbers) this.lose(segment.id.epoch, from, to);
    // Once nothing is on disk, every loss has been said to a hub or by a later life.
    if (this.segments.length === 0 && this.#wanted.size === 0) this.#gone.clear();
  }

  /** Takes batches off the queue that were written, or that nobody needs any more. */
  unqueue(batches: number): void {
    for (const { payload } of this.queued.splice(0, batches)) this.queuedBytes -= RECORD_BYTES + payload.length;
  }

  /** Takes off what was acknowledged while it waited. */
  skipSettled(): void {
    const kept = this.queued.filter(({ epoch, seq, end }) => this.within(epoch, seq, end).length > 0);
    if (kept.length === this.queued.length) return;
    this.queued = kept;
    this.queuedBytes = kept.reduce((sum, { payload }) => sum + RECORD_BYTES + payload.length, 0);
  }
}
