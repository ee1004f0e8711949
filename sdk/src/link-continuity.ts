import { addLoss, type FrameBatch } from "./can/frame-batch.ts";

/** Places whose losses have sequence numbers: the frames were read, numbered, and dropped later. */
const NUMBERED_PLACES = ["edge", "spool", "link"];

/**
 * Finds what was lost between two connections to one edge. Within a connection TCP loses nothing, and the edge says
 * what it dropped; numbers that jump without that are frames which a filter took out.
 */
export class LinkContinuity {
  #epoch = 0;
  #nextSeq = -1;
  /** Whether numbers have jumped only where losses were stated. */
  #isDense = true;
  #hasHeard = false;
  #isResumed = false;

  /** A connection begins. */
  resume(): void {
    this.#isResumed = this.#hasHeard;
  }

  /** Follows a batch; what was lost since the connection before is added to its `lost`. */
  follow(batch: FrameBatch): void {
    this.#hasHeard = true;
    if (this.#isResumed) this.#stateGap(batch);
    else this.#watchJump(batch);
    this.#isResumed = false;
    this.#epoch = batch.epoch;
    this.#nextSeq = batch.seq < 0 ? -1 : batch.seq + batch.count;
  }

  #stateGap(batch: FrameBatch): void {
    // A new epoch: the edge itself was started again; what it did not read meanwhile is no loss of this link.
    if (batch.seq >= 0 && batch.epoch !== this.#epoch) return;
    const isKnown = batch.seq >= 0 && this.#nextSeq >= 0 && this.#isDense;
    const missing = isKnown ? batch.seq - this.#nextSeq - stated(batch) : null;
    if (missing !== null && missing <= 0) return;
    batch.lost = { ...batch.lost };
    addLoss(batch.lost, "link", missing);
  }

  #watchJump(batch: FrameBatch): void {
    if (batch.seq < 0 || this.#nextSeq < 0 || batch.epoch !== this.#epoch) return;
    if (batch.lost && Object.values(batch.lost).includes(null)) return;
    if (batch.seq - this.#nextSeq !== stated(batch)) this.#isDense = false;
  }
}

function stated(batch: FrameBatch): number {
  let frames = 0;
  for (const place of NUMBERED_PLACES) frames += batch.lost?.[place] ?? 0;
  return frames;
}
