/** Lets through so many a second, and so many at once after a pause. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs = -Infinity;

  /**
   * @param rateHz a second, above 0
   * @param burst at once after a pause, 1 or more
   */
  constructor(rateHz: number, burst: number) {
    this.#perMs = rateHz / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Whether one may pass now; it is not counted. `nowMs` is on a clock that never goes back. */
  has(nowMs: number): boolean {
    if (nowMs > this.#filledAtMs) {
      const earned = this.#filledAtMs === -Infinity ? this.#burst : (nowMs - this.#filledAtMs) * this.#perMs;
      this.#tokens = Math.min(this.#burst, this.#tokens + earned);
      this.#filledAtMs = nowMs;
    }
    return this.#tokens >= 1;
  }

  /** What it lets through in the long run, a second. */
  get ratePerSecond(): number {
    return this.#perMs * 1000;
  }

  /** Counts one that passes, or has passed: where `has` had not said yes, those that follow wait the longer. */
  take(): void {
    this.#tokens--;
  }
}
