import { RangeSet, type Range } from "../wire/range-set.ts";
import type { GoneRange } from "../wire/batch-notes.ts";

/** A batch that came before its turn, not decoded. */
export interface HeldBatch {
  seq: number;
  /** One above its last number. */
  end: number;
  payload: Uint8Array;
  /** When it came, ms. */
  atMs: number;
  /** When the gap before it was last asked for, ms. */
  askedAtMs?: number;
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
  /** When a frame last came in its turn, or was promised or given up by the edge, ms. */
  movedAtMs: number;
  /** When the gap behind the last held batch was asked for, ms. */
  #endAskedAtMs: number | undefined;
  readonly #sink: EpochSink;
  readonly #held: HeldBatch[] = [];
  /** One above the highest number that is known to exist: batches that were let go must not be forgotten. */
  #knownEnd: number;
  #promise = { from: Infinity, atMs: -Infinity };
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

  /** When the gap began to be one, or something last moved, ms. */
  get waitingSinceMs(): number {
    return Math.max(this.movedAtMs, this.#held[0]?.atMs ?? 0);
  }

  /**
   * The gaps that should be asked for now; they count as asked.
   *
   * @param askAfterMs from when a gap is seen, or promised, to asking
   * @param againMs from asking to asking again
   */
  takeAsks(nowMs: number, askAfterMs: number, againMs: number, most: number): Range[] {
    const asks: Range[] = [];
    let end = this.next;
    for (const held of this.#held) {
      const to = this.#unpromised(held.seq, nowMs, askAfterMs);
      if (to > end && isDue(nowMs, held.atMs, held.askedAtMs, askAfterMs, againMs)) {
        held.askedAtMs = nowMs;
        asks.push([end, to]);
        if (asks.length >= most) return asks;
      }
      end = held.end;
    }
    const to = this.#unpromised(this.#knownEnd, nowMs, askAfterMs);
    if (to > end && isDue(nowMs, this.waitingSinceMs, this.#endAskedAtMs, askAfterMs, againMs)) {
      this.#endAskedAtMs = nowMs;
      asks.push([end, to]);
    }
    return asks;
  }

  /** Where, up to `to`, begins what the edge has just said is still to come. */
  #unpromised(to: number, nowMs: number, askAfterMs: number): number {
    return nowMs - this.#promise.atMs < askAfterMs ? Math.min(to, this.#promise.from) : to;
  }

  /** The edge says that everything from `held` on is still to come. */
  promised(held: number, nowMs: number): void {
    this.#promise = { from: held, atMs: nowMs };
    if (held <= this.next) this.movedAtMs = nowMs;
  }

  /** Takes one batch in. @returns whether it was new */
  accept(batch: Omit<HeldBatch, "atMs">, nowMs: number): boolean {
    if (batch.end <= this.next) return false;
    const waited = this.gap !== undefined;
    this.#knownEnd = Math.max(this.#knownEnd, batch.end);
    if (batch.seq > this.next) {
      if (!this.#hold({ ...batch, atMs: nowMs })) return false;
      if (!waited) this.movedAtMs = nowMs;
    } else {
      this.movedAtMs = nowMs;
      this.#deliver(batch);
    }
    this.#drain();
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
    this.movedAtMs = nowMs;
    this.#drain();
  }

  /** States the gap as lost and goes on behind it. */
  giveUp(place: string): void {
    const { gap } = this;
    if (!gap) return;
    this.#lose(gap[0], gap[1], place);
    this.#drain();
  }

  #drain(): void {
    for (;;) {
      const first = this.#held[0];
      if (first && first.seq <= this.next) {
        this.#held.shift();
        this.heldBytes -= first.payload.length;
        if (first.end > this.next) this.#deliver(first);
      } else if (!this.#skipGone(first?.seq ?? Infinity)) {
        return;
      }
    }
  }

  /** Passes over what is gone at `next`, up to the next held batch. */
  #skipGone(limit: number): boolean {
    for (const [place, ranges] of this.#gone) {
      const present = ranges.firstMissing(this.next, Infinity)!;
      const to = Math.min(present, limit);
      if (to <= this.next) continue;
      this.#lose(this.next, to, place);
      ranges.delete(0, to);
      return true;
    }
    return false;
  }

  #deliver({ seq, end, payload }: Omit<HeldBatch, "atMs">): void {
    const skip = this.next - seq;
    this.next = end;
    this.#sink.deliver(payload, skip);
  }

  #lose(from: number, to: number, place: string): void {
    this.next = to;
    this.#sink.lost(from, to, place);
  }
}

function isDue(
  nowMs: number,
  sinceMs: number,
  askedAtMs: number | undefined,
  askAfterMs: number,
  againMs: number,
): boolean {
  return nowMs - sinceMs >= askAfterMs && (askedAtMs === undefined || nowMs - askedAtMs >= againMs);
}
