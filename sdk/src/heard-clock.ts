import type { ClockPing, EdgeTime } from "./wire/clock-message.ts";

/** Pings of which the one that was least on its way counts: few, so that the two clocks cannot drift apart meanwhile. */
const KEPT_PINGS = 8;

/**
 * The monotonic clock of an edge as a listener to its pings knows it: always somewhat behind, by what the fastest of the
 * last pings needed, so that an age computed by it is never too small. Clocks of calendars are not asked.
 */
export class HeardClock {
  #clock: number | undefined;
  /** Edge's time less ours, µs, of the last pings. */
  #differencesUs: number[] = [];

  /** Enters a ping that came just now, not a retained one: nobody knows how old that is. */
  heard({ clock, at }: ClockPing, nowMs = performance.now()): void {
    if (clock !== this.#clock) this.#differencesUs = [];
    this.#clock = clock;
    this.#differencesUs.push(at - nowMs * 1000);
    if (this.#differencesUs.length > KEPT_PINGS) this.#differencesUs.shift();
  }

  /** The edge's time now; undefined before it was heard. */
  now(nowMs = performance.now()): EdgeTime | undefined {
    if (this.#clock === undefined) return undefined;
    const atUs = Math.floor(Math.max(...this.#differencesUs) + nowMs * 1000);
    return { clock: this.#clock, atUs: Math.max(0, atUs) };
  }
}
