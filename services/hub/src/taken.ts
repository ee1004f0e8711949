import { MAX_ACK_RANGES, RangeSet, type Taken } from "@canfleet/sdk";

/** Epochs of one bus that are remembered. */
const MAX_EPOCHS = 64;

/** What was received of one bus, and what of it is to be acknowledged. */
export class TakenFrames {
  readonly #epochs = new Map<number, RangeSet>();
  readonly #changed = new Set<number>();

  /** Remembers frames `from` up to `to`. Also what is known already is acknowledged again: the first time may be lost. */
  add(epoch: number, from: number, to: number): void {
    let ranges = this.#epochs.get(epoch);
    if (!ranges) {
      const [oldest] = this.#epochs.keys();
      if (this.#epochs.size >= MAX_EPOCHS) this.#forget(oldest!);
      this.#epochs.set(epoch, (ranges = new RangeSet()));
    }
    ranges.add(from, to);
    ranges.keepHighest(MAX_ACK_RANGES);
    this.#changed.add(epoch);
  }

  #forget(epoch: number): void {
    this.#epochs.delete(epoch);
    this.#changed.delete(epoch);
  }

  /** The epochs that changed since the last call. */
  takeChanges(): Taken[] {
    const taken = [...this.#changed].map((epoch) => ({ epoch, ranges: [...this.#epochs.get(epoch)!] }));
    this.#changed.clear();
    return taken;
  }
}
