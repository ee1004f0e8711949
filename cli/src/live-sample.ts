import { ConsoleFormatter, type FrameBatch } from "@canfleet/sdk";

/** Lines of one bus: about as fast as eyes follow. */
const LINE_INTERVAL_MS = 500;
const RATE_INTERVAL_MS = 10_000;

/** Shows a few frames of each bus a second, as dump would, and now and then how many there really were. */
export class LiveSample {
  readonly #print: (line: string) => void;
  readonly #formatter: ConsoleFormatter;
  readonly #shownAt = new Map<string, number>();
  readonly #counts = new Map<string, number>();
  /** Frames of a bus come in the same order again and again: the row is chosen so that all kinds have their turn. */
  #turn = 0;
  readonly #rates: NodeJS.Timeout;

  /** @param channelWidth characters of the longest bus name */
  constructor(channelWidth: number, print: (line: string) => void) {
    this.#formatter = new ConsoleFormatter({ time: "a", channelWidth });
    this.#print = print;
    this.#rates = setInterval(() => this.#printRates(), RATE_INTERVAL_MS);
  }

  take(batch: FrameBatch, channel: string): void {
    this.#counts.set(channel, (this.#counts.get(channel) ?? 0) + batch.count);
    const now = performance.now();
    if (now - (this.#shownAt.get(channel) ?? -Infinity) < LINE_INTERVAL_MS) return;
    this.#shownAt.set(channel, now);
    this.#print(this.#formatter.format(batch, this.#turn++ % batch.count, channel));
  }

  #printRates(): void {
    const rates = [...this.#counts].map(
      ([channel, frames]) => `${channel} ${Math.round((frames * 1000) / RATE_INTERVAL_MS)} frames/s`,
    );
    this.#counts.clear();
    if (rates.length > 0) this.#print(`-- ${rates.sort().join(", ")} in the last ${RATE_INTERVAL_MS / 1000} s`);
  }

  stop(): void {
    clearInterval(this.#rates);
  }
}
