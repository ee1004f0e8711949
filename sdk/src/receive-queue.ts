import type { FrameBatch } from "./can/frame-batch.ts";
import { Message } from "./can/message.ts";

interface Waiting {
  resolve(message: Message | null): void;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Frames that were received and not taken yet: batches with a cursor, bounded by frames. */
export class ReceiveQueue {
  readonly #maxFrames: number;
  readonly #batches: { batch: FrameBatch; channel: string }[] = [];
  readonly #waiting: Waiting[] = [];
  #row = 0;
  #frames = 0;
  #closed = false;

  /** @param maxFrames frames that wait at most, 1 or more; a batch that would go beyond pushes out the oldest ones */
  constructor(maxFrames: number) {
    this.#maxFrames = maxFrames;
  }

  get length(): number {
    return this.#frames;
  }

  /**
   * Takes over a batch.
   *
   * @returns frames that had to be dropped for it, oldest first
   */
  push(batch: FrameBatch, channel: string): number {
    if (this.#closed || batch.count === 0) return 0;
    this.#batches.push({ batch, channel });
    this.#frames += batch.count;
    this.#serve();
    return this.#dropOldest();
  }

  #dropOldest(): number {
    let dropped = 0;
    while (this.#frames > this.#maxFrames && this.#batches.length > 1) {
      const left = this.#batches[0]!.batch.count - this.#row;
      this.#batches.shift();
      this.#row = 0;
      this.#frames -= left;
      dropped += left;
    }
    return dropped;
  }

  /** The next frame; null when the time is over or the queue was closed. */
  take(timeoutMs?: number): Promise<Message | null> {
    const ready = this.#next();
    if (ready !== null || this.#closed || timeoutMs === 0) return Promise.resolve(ready);
    return new Promise((resolve) => {
      const waiting: Waiting = { resolve, timer: undefined };
      if (timeoutMs !== undefined && timeoutMs !== Infinity) {
        waiting.timer = setTimeout(() => this.#giveUp(waiting), timeoutMs);
      }
      this.#waiting.push(waiting);
    });
  }

  #giveUp(waiting: Waiting): void {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    waiting.resolve(null);
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#frames > 0) {
      const waiting = this.#waiting.shift()!;
      clearTimeout(waiting.timer);
      waiting.resolve(this.#next());
    }
  }

  #next(): Message | null {
    const first = this.#batches[0];
    if (!first) return null;
    const message = Message.fromBatch(first.batch, this.#row, first.channel);
    this.#frames--;
    if (++this.#row === first.batch.count) {
      this.#batches.shift();
      this.#row = 0;
    }
    return message;
  }

  clear(): void {
    this.#batches.length = 0;
    this.#row = 0;
    this.#frames = 0;
  }

  /** Gives null to everyone who waits; frames that are there can still be taken. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) {
      clearTimeout(waiting.timer);
      waiting.resolve(null);
    }
  }
}
