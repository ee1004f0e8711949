import { RangeSet, type Range } from "../wire/range-set.ts";
import type { GoneRange } from "../wire/batch-notes.ts";

/** A batch that came before its turn, not decoded. */
export interface HeldBatch {
  seq: number;
  /** One above its last number. */
  end: number;
  payload: Uint8Array;
}

/** What comes out of an epoch, in the order of numbers. */
export interface EpochSink {
  /** A batch whose first `skip` frames were delivered before. */
  deliver(payload: Uint8Array, skip: number): void;
  lost(from: number, to: number, place: string): void;
}

/**
 * Puts the batches of one epoch of one bus in order: each number is delivered once or stated as lost, never both.
 */
export class EpochOrder {
  readonly epoch: number;
  /** Lowest number that was neither delivered nor stated as lost. */
  next: number;
  /** Bytes of all held payloads. */
  heldBytes = 0;
  /** When something last came out, or frames were promised, ms. */
  movedAtMs: number;
  /** When the gap was last asked for, ms; undefined when it was not. */
  askedAtMs: number | undefined;
  readonly #sink: EpochSink;
  readonly #held: HeldBatch[] = [];
  /** One above the highest number that is known to exist: batches that were let go must not be forgotten. */
  #knownEnd: number;
  /** Numbers above `next` that nobody has any more, by place. */
  readonly #gone = new Map<string, RangeSet>();

  constructor(epoch: number, next: number, sink: EpochSink, nowMs: number) {
    this.epoch = epoch;
    this.next = next;
    this.#sink = sink;
    this.movedAtMs = nowMs;
    this.#knownEnd = next;
  }

  /** The numbers that are missing next; undefined when none are known to be. */
  get gap(): Range | undefined {
    const end = this.#held[0]?.seq ?? this.#knownEnd;
    return end > this.next ? [this.next, end] : undefined;
  }

  /** Takes one batch in. @returns whether it was new */
  accept(batch: HeldBatch, nowMs: number): boolean {
    if (batch.end <= this.next) return false;
    const waited = this.gap !== undefined;
    this.#knownEnd = Math.max(this.#knownEnd, batch.end);
    if (batch.seq <= this.next) {
      this.#deliver(batch, nowMs);
      this.#drain(nowMs);
      return true;
    }
    if (!this.#hold(batch)) return false;
    if (!waited) this.movedAtMs = nowMs;
    this.#drain(nowMs);
    return true;
  }

  /** @returns false when the same numbers are held already */
  #hold(batch: HeldBatch): boolean {
    let place = this.#held.length;
    while (place > 0 && this.#held[place - 1]!.seq > batch.seq) place--;
    const before = this.#held[place - 1];
    if (before && before.end >= batch.end) return false;
    this.#held.splice(place, 0, batch);
    this.heldBytes += batch.payload.length;
    return true;
  }

  /** Lets go of the held batch that is farthest from its turn. @returns whether there was one */
  letGo(): boolean {
    const last = this.#held.pop();
    if (last) this.heldBytes -= last.payload.length;
    return last !== undefined;
  }

  /** Numbers that need not be waited for. */
  gone({ from, to, place }: GoneRange, nowMs: number): void {
    if (to <= this.next) return;
    let ranges = this.#gone.get(place);
    if (!ranges) this.#gone.set(place, (ranges = new RangeSet()));
    ranges.add(Math.max(from, this.next), to);
    this.#drain(nowMs);
  }

  /** States the gap as lost and goes on behind it. */
  giveUp(place: string, nowMs: number): void {
    const { gap } = this;
    if (!gap) return;
    this.#lose(gap[0], gap[1], place, nowMs);
    this.#drain(nowMs);
  }

  #drain(nowMs: number): void {
    for (;;) {
      const first = this.#held[0];
      if (first && first.seq <= this.next) {
        this.#held.shift();
        this.heldBytes -= first.payload.length;
        if (first.end > this.next) this.#deliver(first, nowMs);
      } else if (!this.#skipGone(first?.seq ?? Infinity, nowMs)) {
        return;
      }
    }
  }

  /** Passes over what is gone at `next`, up to the next held batch. */
  #skipGone(limit: number, nowMs: number): boolean {
    for (const [place, ranges] of this.#gone) {
      const present = ranges.firstMissing(this.next, Infinity)!;
      const to = Math.min(present, limit);
      if (to <= this.next) continue;
      this.#lose(this.next, to, place, nowMs);
      ranges.delete(0, to);
      return true;
    }
    return false;
  }

  #deliver(batch: HeldBatch, nowMs: number): void {
    const skip = this.next - batch.seq;
    this.#moved(batch.end, nowMs);
    this.#sink.deliver(batch.payload, skip);
  }

  #lose(from: number, to: number, place: string, nowMs: number): void {
    this.#moved(to, nowMs);
    this.#sink.lost(from, to, place);
  }

  #moved(next: number, nowMs: number): void {
    this.next = next;
    this.movedAtMs = nowMs;
    this.askedAtMs = undefined;
  }
}
