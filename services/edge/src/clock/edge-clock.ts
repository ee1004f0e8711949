import { randomInt } from "node:crypto";
import type { ClockPing, EdgeTime } from "@canfleet/sdk";

/** Longest time that a request of unknown age may have been on its way from the broker, ms. */
export const MAX_PATH_AGE_MS = 2_000;
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

  /** A new connection: what comes on it was sent after this. */
  connected(): void {
    this.#newestEchoMs = this.#nowMs();
  }

  /** Enters a ping that came back. */
  echoed({ clock, at }: ClockPing): void {
    const atMs = at / 1000;
    if (clock === this.id && atMs <= this.#nowMs()) this.#newestEchoMs = Math.max(this.#newestEchoMs, atMs);
  }

  /** Upper bound of the time that what comes now was on its way from the broker, ms. */
  get pathAgeMs(): number {
    return this.#nowMs() - this.#newestEchoMs;
  }

  /**
   * What is left of a request's time to live, ms; not above 0 when it has none left, or when that cannot be known.
   *
   * @param at the edge's time when the request was sent, where the sender told it
   */
  timeLeftMs(ttlMs: number, at: EdgeTime | undefined): number {
    if (at === undefined) return this.pathAgeMs > MAX_PATH_AGE_MS ? 0 : ttlMs;
    const ageMs = this.#nowMs() - at.atUs / 1000;
    if (at.clock !== this.id || ageMs < -MAX_AHEAD_MS) return 0;
    return Math.min(ttlMs, ttlMs - ageMs);
  }
}
