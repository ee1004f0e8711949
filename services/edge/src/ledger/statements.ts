import { addLoss, addLosses, MAX_GONE_RANGES, type GoneRange, type Losses } from "@canfleet/sdk";
import type { Statement } from "./history.ts";

/** Ranges that wait to be stated, and ranges that are remembered for those who ask; older ones are forgotten. */
const MAX_RANGES = 1_024;

/** What is lost and must be said: once in a batch, in sums in `status`, and to whoever asks. */
export class Statements {
  /** Frames lost since the start, by place. */
  readonly totals: Losses = {};
  #pending: GoneRange[] = [];
  #lost: Losses = {};
  readonly #remembered: GoneRange[] = [];

  /** States numbers as lost for good. */
  add(range: GoneRange): void {
    const frames = range.to - range.from;
    addLoss(this.totals, range.place, frames);
    addLoss(this.#lost, range.place, frames);
    this.announce(range);
  }

  /** States numbers as lost that were counted before. */
  announce(range: GoneRange): void {
    append(this.#pending, range);
    this.remember(range);
  }

  /** States that an earlier life lost frames of which nobody knows how many: its losses, not in the sums of this one. */
  unknown(place: string): void {
    addLoss(this.#lost, place, null);
  }

  /** Tells whoever asks that these are gone. */
  remember(range: GoneRange): void {
    append(this.#remembered, range);
  }

  /** Says again what a batch stated that is lost itself. */
  repeat(statement: Statement): void {
    addLosses(this.#lost, statement.lost);
    for (const range of statement.gone) append(this.#pending, range);
  }

  /** What the next batch states; undefined when nothing is. */
  take(): Statement | undefined {
    if (this.#pending.length === 0 && Object.keys(this.#lost).length === 0) return undefined;
    const gone = this.#pending.splice(0, MAX_GONE_RANGES);
    const lost = this.#lost;
    this.#lost = {};
    return { gone, lost };
  }

  /** Where a number was lost, as far as is remembered. */
  placeOf(epoch: number, seq: number): string | undefined {
    return this.#remembered.find((range) => range.epoch === epoch && range.from <= seq && seq < range.to)?.place;
  }
}

/** Adds a range, to one that it touches where there is one. */
function append(ranges: GoneRange[], range: GoneRange): void {
  const touching = ranges.find(
    ({ epoch, from, to, place }) =>
      epoch === range.epoch && place === range.place && range.from <= to && from <= range.to,
  );
  if (!touching) {
    ranges.push({ ...range });
    if (ranges.length > MAX_RANGES) ranges.shift();
    return;
  }
  touching.from = Math.min(touching.from, range.from);
  touching.to = Math.max(touching.to, range.to);
}
