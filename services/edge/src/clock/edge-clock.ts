import { randomInt } from "node:crypto";
import type { ClockPing, EdgeTime } from "@canfleet/sdk";

/** Longest time that a request of unknown age may have been on its way from the broker, ms. */
export const MAX_PATH_AGE_MS = 2_000;
/**
 * What came to the broker while it was stalled itself, it reads when it goes on: within this time, ms. How long that had
 * waited no ping tells.
 */
export const SETTLING_MS = 2_000;
/** A time further ahead than this is none that the edge has told, ms: two clocks drift by less. */
const MAX_AHEAD_MS = 1_000;

/**
 * How old what comes from the hub can be, by the edge's monotonic clock alone (docs/reliability.md, 5).
 *
 * The edge hears its own pings back through the broker. What comes after a ping came to the broker after it, so it is
 * no older than that ping: the way may be stalled, or be working off what had piled up.
 */
export class EdgeClock {
  /** Names this run of the edge. */
  readonly id = randomInt(2 ** 32);
  readonly #nowMs: () => number;
  #newestEchoMs = -Infinity;
  /** Until then what comes may have waited at the broker while the way was stalled. */
  #settledMs = -Infinity;

  /** @param nowMs a monotonic clock, ms from any moment on */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Whole µs on the edge's monotonic clock. */
  nowUs(): number {
    return Math.floor(this.#nowMs() * 1000);
  }

  ping(): ClockPing {
    return { clock: this.id, at: this.nowUs() };
  }

  /** A new connection: what comes on it was sent after this, unless it waited at a broker that had stopped. */
  connected(): void {
    const isFirst = this.#newestEchoMs === -Infinity;
    this.#newestEchoMs = this.#nowMs();
    if (!isFirst) this.#settledMs = this.#newestEchoMs + SETTLING_MS;
  }

  /** Enters a ping that came back. */
  echoed({ clock, at }: ClockPing): void {
    const atMs = at / 1000;
    if (clock !== this.id || atMs > this.#nowMs()) return;
    if (this.pathAgeMs > MAX_PATH_AGE_MS) this.#settledMs = this.#nowMs() + SETTLING_MS;
    this.#newestEchoMs = Math.max(this.#newestEchoMs, atMs);
  }

  /** Upper bound of the time that what comes now was on its way from the broker, ms. */
  get pathAgeMs(): number {
    return this.#nowMs() - this.#newestEchoMs;
  }

  get #isFresh(): boolean {
    return this.pathAgeMs <= MAX_PATH_AGE_MS && this.#nowMs() >= this.#settledMs;
  }

  /**
   * What is left of a request's time to live, ms; not above 0 when it has none left, or when that cannot be known.
   *
   * @param at the edge's time when the request was sent, where the sender told it
   */
  timeLeftMs(ttlMs: number, at: EdgeTime | undefined): number {
    if (at === undefined) return this.#isFresh ? ttlMs : 0;
    const ageMs = this.#nowMs() - at.atUs / 1000;
    if (at.clock !== this.id || ageMs < -MAX_AHEAD_MS) return 0;
    return Math.min(ttlMs, ttlMs - ageMs);
  }
}
