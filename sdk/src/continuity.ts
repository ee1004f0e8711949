import type { FrameBatch, Losses } from "./can/frame-batch.ts";

/** Losses that have sequence numbers: the frames were read and numbered, and dropped later. */
const NUMBERED_PLACES = ["edge", "spool", "link"];
/** Buses that are followed at most, so that strangers' topics cannot fill the memory. */
const MAX_BUSES = 10_000;

/**
 * Finds frames that are missing between batches of one bus by their sequence numbers.
 *
 * What the batch itself states as lost is explained; the rest of the gap was lost on the way.
 */
export class Continuity {
  readonly #next = new Map<string, { epoch: number; seq: number }>();

  /**
   * Follows one batch. The first batch of a bus, and of a new epoch, starts anew.
   *
   * @returns frames missing before it that the batch does not explain, and whether it was seen before
   */
  follow(channel: string, batch: FrameBatch): { missing: number; repeated: boolean } {
    const known = this.#next.get(channel);
    if (!known && this.#next.size >= MAX_BUSES) return { missing: 0, repeated: false };
    const after = { epoch: batch.epoch, seq: batch.seq + batch.count };
    if (known?.epoch !== batch.epoch) {
      this.#next.set(channel, after);
      return { missing: 0, repeated: known !== undefined && batch.epoch < known.epoch };
    }
    if (batch.seq < known.seq) return { missing: 0, repeated: true };
    this.#next.set(channel, after);
    return { missing: Math.max(0, batch.seq - known.seq - stated(batch.lost)), repeated: false };
  }
}

function stated(lost: Losses | undefined): number {
  let frames = 0;
  for (const place of NUMBERED_PLACES) frames += lost?.[place] ?? 0;
  return frames;
}
