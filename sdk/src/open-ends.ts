/** Buses that are followed at most, so that strangers' topics cannot fill the memory. */
const MAX_BUSES = 10_000;

/**
 * Knows when the end of an epoch was missed: the way to the hub was interrupted, and when it was there again the edge had
 * begun to count anew. How many frames came at that end nobody can say any more.
 */
export class OpenEnds {
  readonly #live = new Map<string, { epoch: number; isCut: boolean }>();

  /** The way was interrupted. */
  cut(): void {
    for (const bus of this.#live.values()) bus.isCut = true;
  }

  /** A live batch came. @returns whether the epoch before may have gone on while nobody could hear it */
  heard(channel: string, epoch: number): boolean {
    const bus = this.#live.get(channel);
    if (!bus) {
      if (this.#live.size < MAX_BUSES) this.#live.set(channel, { epoch, isCut: false });
      return false;
    }
    const missed = bus.isCut && bus.epoch !== epoch;
    bus.epoch = epoch;
    bus.isCut = false;
    return missed;
  }
}
