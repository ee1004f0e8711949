import type { Duplex } from "node:stream";
import type { HubLimits } from "./limits.ts";

/** Why the hub ended a connection that could have gone on. */
export type EvictionReason = "stalled" | "slow" | "queue-full";

export type OutboxLimits = Pick<HubLimits, "maxQueuedBytes" | "stallMs" | "slowMs">;

/**
 * What waits for one subscriber: the connection's own write buffer, bounded.
 *
 *     messages of one event-loop turn ─► corked socket ─► one writev at the end of the turn
 *                          └─ over the bound: refused, for this subscriber alone
 */
export class Outbox {
  /** Messages handed to the connection. */
  sentMessages = 0;
  /** Bytes handed to the connection. */
  sentBytes = 0;
  /** Messages dropped because too much waited. */
  droppedMessages = 0;
  readonly #conn: Duplex;
  readonly #turn: TurnEnd;
  readonly #limits: OutboxLimits;
  #corked = false;
  #takenBytes = 0;
  #lastTakenAtMs: number;
  /** The queue was more than half full since the last look. */
  #wasFull = false;
  /** Since when it has been so again and again, and when it last was. */
  #fullSinceMs: number | undefined;
  #fullAtMs = 0;
  /** Messages that had been dropped when it began to be so. */
  #droppedBefore = 0;

  constructor(conn: Duplex, turn: TurnEnd, limits: OutboxLimits, nowMs: number) {
    this.#conn = conn;
    this.#turn = turn;
    this.#limits = limits;
    this.#lastTakenAtMs = nowMs;
  }

  /** Bytes that the peer has not taken yet. */
  get queuedBytes(): number {
    return this.#conn.writableLength;
  }

  /** Whether this many bytes more stay within the bound. An empty queue takes a message of any size. */
  hasRoomFor(bytes: number): boolean {
    const queued = this.#conn.writableLength;
    if (queued === 0) this.#forgetFullness();
    else if (queued + bytes > this.#limits.maxQueuedBytes / 2) this.#wasFull = true;
    return queued === 0 || queued + bytes <= this.#limits.maxQueuedBytes;
  }

  /** Queues one message, in one or two pieces; never waits. The bytes may be shared with other subscribers. */
  write(first: Uint8Array, second?: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#conn.cork();
      this.#turn.add(this);
    }
    this.#conn.write(first);
    this.sentBytes += first.length;
    if (second) {
      this.#conn.write(second);
      this.sentBytes += second.length;
    }
    this.sentMessages++;
  }

  /** Calls back at once, or, while more than half of what may wait does, when it has gone or the connection ends. */
  whenHalfEmpty(go: () => void): void {
    // Below its own mark, which differs between versions of Node, a stream never says `drain`.
    const isLow = this.#conn.writableLength <= this.#limits.maxQueuedBytes / 2;
    if (isLow || !this.#conn.writableNeedDrain) go();
    else this.#conn.once("drain", go);
  }

  /** Lets everything of this turn go in one system call. */
  release(): void {
    this.#corked = false;
    this.#conn.uncork();
  }

  /**
   * Judges whether the peer reads; to be called about once a second.
   *
   * Progress is measured by what was taken, not by `drain`: under constant load a healthy buffer is never empty. A stream
   * counts a write as taken when all of it was, so that the queue of a slow peer falls and rises in large steps: it is slow
   * when it is more than half full again within half of the time allowed, and messages are dropped or it is never empty.
   */
  verdict(nowMs: number): EvictionReason | undefined {
    const queued = this.#conn.writableLength;
    const taken = this.sentBytes - queued;
    if (queued === 0 || taken > this.#takenBytes) {
      this.#takenBytes = Math.max(taken, this.#takenBytes);
      this.#lastTakenAtMs = nowMs;
    }
    this.#noteFullness(queued, nowMs);
    if (nowMs - this.#lastTakenAtMs >= this.#limits.stallMs) return "stalled";
    const isFull = this.#fullSinceMs !== undefined && this.#fullAtMs === nowMs;
    if (isFull && nowMs - this.#fullSinceMs! >= this.#limits.slowMs) return "slow";
    return undefined;
  }

  #noteFullness(queued: number, nowMs: number): void {
    const isFull = queued > 0 && (this.#wasFull || queued > this.#limits.maxQueuedBytes / 2);
    this.#wasFull = false;
    if (isFull) {
      if (this.#fullSinceMs === undefined) this.#droppedBefore = this.droppedMessages;
      this.#fullSinceMs ??= nowMs;
      this.#fullAtMs = nowMs;
    } else if (nowMs - this.#fullAtMs >= this.#limits.slowMs / 2) {
      this.#fullSinceMs = undefined;
    } else if (queued === 0) {
      this.#forgetFullness();
    }
  }

  /** It is empty: who misses nothing keeps up. */
  #forgetFullness(): void {
    if (this.droppedMessages === this.#droppedBefore) this.#fullSinceMs = undefined;
  }
}

/** Releases the outboxes that were written to in this turn of the event loop, once, at its end. */
export class TurnEnd {
  #waiting: Outbox[] = [];

  add(outbox: Outbox): void {
    if (this.#waiting.push(outbox) === 1) setImmediate(() => this.#release());
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const outbox of waiting) outbox.release();
  }
}
