import { formatDropLine, type LossEvent } from "@canfleet/sdk";

/** Writes losses as candump -d does, with the running total of each bus. */
export class DropLines {
  readonly #totals = new Map<string, number>();
  #unknown = false;

  /**
   * The line for a loss, without its end; undefined where the number of frames is not known, since candump's line
   * cannot say so.
   *
   * @param name the bus as one word
   */
  line(loss: LossEvent, name: string): string | undefined {
    const dropped = this.count(loss, name);
    return dropped === 0 ? undefined : formatDropLine({ channel: name, dropped, total: this.#totals.get(name)! });
  }

  /** Counts a loss for the summary, without a line; returns the frames that are known to be lost by it. */
  count(loss: LossEvent, name: string): number {
    const dropped = Object.values(loss.lost).reduce<number>((sum, frames) => sum + (frames ?? 0), 0);
    if (Object.values(loss.lost).includes(null)) this.#unknown = true;
    if (dropped > 0) this.#totals.set(name, (this.#totals.get(name) ?? 0) + dropped);
    return dropped;
  }

  /** What was lost so far, for people; undefined when nothing was, as far as known. */
  summary(): string | undefined {
    const frames = [...this.#totals.values()].reduce((sum, total) => sum + total, 0);
    if (frames === 0) return this.#unknown ? "some frames may have been lost; how many is not known" : undefined;
    const atLeast = this.#unknown ? "at least " : "";
    return `${atLeast}${frames} frame${frames === 1 ? "" : "s"} lost`;
  }
}
