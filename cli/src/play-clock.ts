export interface PlayClockOptions {
  /** Times as fast as recorded. */
  speed: number;
  /** Gaps longer than this are not waited through, µs. */
  skipUs: number | undefined;
}

/** Says when a recorded frame is due, measured from the first one, so that small delays do not add up. */
export class PlayClock {
  readonly #options: PlayClockOptions;
  #startMs: number | undefined;
  #lastUs = 0;
  /** Recorded time that went by since the first frame, without what was skipped, µs. */
  #elapsedUs = 0;

  constructor(options: PlayClockOptions) {
    this.#options = options;
  }

  /**
   * @param recordedUs time of the frame in the log; going backwards counts as no time at all
   * @param nowMs monotonic clock
   * @returns when the frame is due on the same clock, ms
   */
  due(recordedUs: number, nowMs: number): number {
    if (this.#startMs === undefined) {
      this.#startMs = nowMs;
      this.#lastUs = recordedUs;
    }
    const gapUs = Math.max(0, recordedUs - this.#lastUs);
    this.#lastUs = recordedUs;
    if (this.#options.skipUs === undefined || gapUs <= this.#options.skipUs) this.#elapsedUs += gapUs;
    return this.#startMs + this.#elapsedUs / 1000 / this.#options.speed;
  }
}
