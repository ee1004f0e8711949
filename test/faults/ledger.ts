import { RangeSet, type FrameBatch, type LossEvent } from "@canfleet/sdk";

/** What one subscriber was given of each epoch of each bus, compared with what was made. */
export class Ledger {
  twice = 0;
  disordered = 0;
  /** Frames whose content is not what was made under this number. */
  wrong = 0;
  /** Frames stated as lost with their range, by place. */
  readonly numbered: { [place: string]: number } = {};
  /** Losses without a range, by place: they belong to no number. */
  readonly unnumbered: { [place: string]: number | null } = {};
  /** Buses of which an unknown number of frames was stated as lost, with the place. */
  readonly unknown = new Set<string>();
  readonly #epochs = new Map<string, { delivered: RangeSet; lost: RangeSet; last: number }>();

  #of(channel: string, epoch: number) {
    const key = `${channel}@${epoch}`;
    let entry = this.#epochs.get(key);
    if (!entry) this.#epochs.set(key, (entry = { delivered: new RangeSet(), lost: new RangeSet(), last: 0 }));
    return entry;
  }

  delivered(batch: FrameBatch, channel: string): void {
    const entry = this.#of(channel, batch.epoch);
    const end = batch.seq + batch.count;
    if (entry.delivered.within(batch.seq, end).length > 0 || entry.lost.within(batch.seq, end).length > 0) this.twice++;
    if (batch.seq < entry.last) this.disordered++;
    entry.delivered.add(batch.seq, end);
    entry.last = Math.max(entry.last, end);
    for (let i = 0; i < batch.count; i++) {
      const { buffer, byteOffset } = batch.payload(i);
      if (new DataView(buffer, byteOffset).getFloat64(0) !== batch.seq + i) this.wrong++;
    }
  }

  lost({ channel, lost, range }: LossEvent): void {
    if (range) {
      this.#of(channel, range.epoch).lost.add(range.from, range.to);
      for (const place of Object.keys(lost)) {
        this.numbered[place] = (this.numbered[place] ?? 0) + range.to - range.from;
      }
      return;
    }
    for (const [place, frames] of Object.entries(lost)) {
      this.unnumbered[place] = frames;
      if (frames === null) this.unknown.add(`${channel} ${place}`);
    }
  }

  /** Numbers of an epoch that were delivered, and those that were stated as lost. */
  numbers(channel: string, epoch: number): { delivered: RangeSet; lost: RangeSet } {
    return this.#epochs.get(`${channel}@${epoch}`) ?? { delivered: new RangeSet(), lost: new RangeSet() };
  }

  /** Frames of all buses. */
  total(what: "delivered" | "lost"): number {
    let frames = 0;
    for (const entry of this.#epochs.values()) {
      for (const [from, to] of entry[what].within(0, Number.MAX_SAFE_INTEGER)) frames += to - from;
    }
    return frames;
  }

  epochs(channel: string): number[] {
    const keys = [...this.#epochs.keys()].filter((key) => key.startsWith(`${channel}@`));
    return keys.map((key) => Number(key.slice(channel.length + 1))).sort((a, b) => a - b);
  }

  /** Frames below `produced` of an epoch: delivered, stated as lost, neither. */
  account(channel: string, epoch: number, produced: number): { delivered: number; lost: number; unexplained: number } {
    // Looking must not make an epoch: they are told apart by their order.
    const entry = this.#epochs.get(`${channel}@${epoch}`);
    if (!entry) return { delivered: 0, lost: 0, unexplained: produced };
    const sum = (set: RangeSet): number =>
      set.within(0, produced).reduce((frames, [from, to]) => frames + to - from, 0);
    const delivered = sum(entry.delivered);
    const lost = sum(entry.lost);
    return { delivered, lost, unexplained: produced - delivered - lost };
  }
}
