import { FrameBatch, type FrameParts } from "../can/frame-batch.ts";

const SEGMENT_FRAMES = 256;

/** Frames that wait to be sent, as columns. */
export interface SendSegment {
  readonly frames: FrameBatch;
  /** `performance.now()` at which each may no longer be sent; -1: it is gone. */
  readonly deadlineMs: Float64Array;
  /** By which its result is named, 1 or more. */
  readonly number: Uint32Array;
  /** First row that still waits. */
  next: number;
}

/** Frames that wait to be sent, in order, each until its own deadline, bounded. */
export class SendQueue {
  readonly #maxFrames: number;
  readonly #segments: SendSegment[] = [];
  #length = 0;

  /** @param maxFrames 1 or more */
  constructor(maxFrames: number) {
    this.#maxFrames = maxFrames;
  }

  /** Frames that wait, those that have gone included until they are passed. */
  get length(): number {
    return this.#length;
  }

  /** The segment whose row `next` is to be sent next. */
  get first(): SendSegment | undefined {
    return this.#segments[0];
  }

  /** @returns false when it is full */
  push(frame: FrameParts, deadlineMs: number, number: number): boolean {
    if (this.#length >= this.#maxFrames) return false;
    let last = this.#segments.at(-1);
    if (!last || last.frames.count === SEGMENT_FRAMES) {
      last = newSegment();
      this.#segments.push(last);
    }
    const row = last.frames.count;
    last.frames.push(frame);
    last.deadlineMs[row] = deadlineMs;
    last.number[row] = number;
    this.#length++;
    return true;
  }

  /** Numbers of the frames that wait. */
  numbers(): Set<number> {
    const numbers = new Set<number>();
    for (const segment of this.#segments) {
      for (let row = segment.next; row < segment.frames.count; row++) numbers.add(segment.number[row]!);
    }
    return numbers;
  }

  /** Passes `rows` of the first segment. */
  shift(rows: number): void {
    const first = this.#segments[0]!;
    first.next += rows;
    this.#length -= rows;
    if (first.next < first.frames.count) return;
    if (this.#segments.length > 1) {
      this.#segments.shift();
    } else {
      first.frames.clear();
      first.next = 0;
    }
  }

  /** Takes out frames whose time is over. */
  expire(nowMs: number, onExpired: (number: number, idWord: number) => void): void {
    for (const segment of this.#segments) {
      for (let row = segment.next; row < segment.frames.count; row++) {
        const deadlineMs = segment.deadlineMs[row]!;
        if (deadlineMs < 0 || deadlineMs > nowMs) continue;
        segment.deadlineMs[row] = -1;
        onExpired(segment.number[row]!, segment.frames.idWord[row]!);
      }
    }
    let first = this.first;
    while (first && first.next < first.frames.count && first.deadlineMs[first.next] === -1) {
      this.shift(1);
      first = this.first;
    }
  }
}

function newSegment(): SendSegment {
  return {
    frames: new FrameBatch(SEGMENT_FRAMES),
    deadlineMs: new Float64Array(SEGMENT_FRAMES),
    number: new Uint32Array(SEGMENT_FRAMES),
    next: 0,
  };
}
