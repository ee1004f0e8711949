import { FrameBatch, type Losses } from "../can/frame-batch.ts";

/** Frames that one batch of a decoder holds at most. */
const MAX_FRAMES = 4096;
/** A socket's read is 64 KiB at most, so that this holds the payloads of one. */
const MAX_DATA_BYTES = 65_536;
const MAX_PAYLOAD_BYTES = 64;

/** What is said of the next batch. */
export interface BatchHead {
  epoch: number;
  /** -1: the frames have no numbers. */
  seq: number;
  unknownFlags: number;
}

/**
 * Collects decoded frames in one reused batch and hands out copies cut to size, so that a peer's bytes decide how much
 * memory is taken, never its claims.
 */
export class BatchBuilder {
  /** Decoders add rows here, after `room`. */
  readonly rows = new FrameBatch(MAX_FRAMES, MAX_DATA_BYTES);
  readonly #emit: (batch: FrameBatch) => void;
  #lost: Losses | undefined;

  /** @param emit takes over each finished batch */
  constructor(emit: (batch: FrameBatch) => void) {
    this.#emit = emit;
  }

  /** Makes sure that one more frame fits. */
  room(head: BatchHead): void {
    if (!this.rows.fits(MAX_PAYLOAD_BYTES)) this.finish(head);
  }

  /** Frames lost just before the next row. Rows before it must have been finished. */
  lose(lost: Losses): void {
    this.#lost = lost;
  }

  /** Hands out what is there, as frames that end before `head.seq`. */
  finish(head: BatchHead): void {
    if (this.rows.count === 0) return;
    const batch = this.rows.clone();
    batch.epoch = head.epoch;
    batch.seq = head.seq < 0 ? -1 : head.seq - batch.count;
    batch.unknownFlags = head.unknownFlags;
    batch.lost = this.#lost;
    this.#lost = undefined;
    this.rows.clear();
    this.#emit(batch);
  }

  /** Hands out losses that no frame has followed, as a batch without frames. */
  finishLosses(head: BatchHead): void {
    if (!this.#lost) return;
    const batch = new FrameBatch(1, 0);
    batch.epoch = head.epoch;
    batch.seq = head.seq;
    batch.unknownFlags = head.unknownFlags;
    batch.lost = this.#lost;
    this.#lost = undefined;
    this.#emit(batch);
  }
}
