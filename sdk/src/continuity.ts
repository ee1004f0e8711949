import { addLoss, type FrameBatch, type Losses } from "./can/frame-batch.ts";

/** Places where numbered frames are lost: the gap in the numbers says how many, and what is stated says where. */
const NUMBERED_PLACES: ReadonlySet<string> = new Set(["edge", "spool", "link", "hub"]);
/** Buses that are followed at most, so that strangers' topics cannot fill the memory. */
const MAX_BUSES = 10_000;
/** Epochs of one bus that are remembered: the last batches of one may come after the first of the next. */
const MAX_EPOCHS = 8;

/**
 * Finds frames that are missing between batches of one bus by their sequence numbers.
 *
 * Of a gap, the batch behind it states where the frames were lost; the rest was lost on the way.
 */
export class Continuity {
  readonly #next = new Map<string, Map<number, number>>();

  /**
   * Follows one batch. The first batch of a bus, and of a new epoch, starts anew.
   *
   * @returns frames missing before it that the batch does not explain, whether it was seen before, and everything that
   *   was lost before it: each missing number once, whatever has been stated for it
   */
  follow(channel: string, batch: FrameBatch): { missing: number; repeated: boolean; lost: Losses | undefined } {
    const lost = unnumbered(batch.lost);
    const epochs = this.#epochsOf(channel, batch.epoch);
    const next = epochs?.get(batch.epoch);
    if (next !== undefined && batch.seq < next) return { missing: 0, repeated: true, lost: undefined };
    epochs?.set(batch.epoch, batch.seq + batch.count);
    let missing = batch.seq - (next ?? batch.seq);
    for (const [place, frames] of Object.entries(batch.lost ?? {})) {
      if (!NUMBERED_PLACES.has(place)) continue;
      const here = Math.min(missing, frames ?? 0);
      if (here > 0) addLoss(lost, place, here);
      missing -= here;
    }
    if (missing > 0) addLoss(lost, "hub", missing);
    return { missing, repeated: false, lost: given(lost) };
  }

  #epochsOf(channel: string, epoch: number): Map<number, number> | undefined {
    let epochs = this.#next.get(channel);
    if (!epochs && this.#next.size < MAX_BUSES) this.#next.set(channel, (epochs = new Map<number, number>()));
    const [oldest] = epochs?.keys() ?? [];
    if (epochs && epochs.size >= MAX_EPOCHS && !epochs.has(epoch)) epochs.delete(oldest!);
    return epochs;
  }
}

/** What no gap in the numbers tells: what was lost before it had one, and where nobody knows how many. */
export function unnumbered(lost: Losses | undefined): Losses {
  return Object.fromEntries(
    Object.entries(lost ?? {}).filter(([place, frames]) => frames === null || !NUMBERED_PLACES.has(place)),
  );
}

function given(lost: Losses): Losses | undefined {
  return Object.keys(lost).length > 0 ? lost : undefined;
}
