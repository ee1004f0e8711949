/** How fast a log is played: its own timing so many times faster, one frame in a fixed time, or all at once. */
export type Pace = { speed: number } | { framesPerSecond: number } | "max";

/** Further behind than this, the rest is put off rather than sent in one burst, µs. */
const MAX_LAG_US = 1_000_000;

/** Log time further behind the latest than this is a clock that is wrong, or another log, µs. */
const EXCURSION_US = 60_000_000;

/** Between two plays of a loop, so that a log of one frame does not fill the bus, µs. */
const LOOP_GAP_US = 1000;

/**
 * Says when each frame of a log is due. Every time is reckoned from the start of the play and never from the frame
 * before, so that timers that come late add up to nothing.
 */
export class Pacer {
  readonly #pace: Pace;
  readonly #maxGapUs: number;
  /** Clock time at which the frame with the log time `#logStartUs` is due; the first one is due when it has been read. */
  #startUs: number | undefined;
  #logStartUs: number | undefined;
  /** Log time of the frame before. */
  #logLastUs = 0;
  /** Latest log time so far. */
  #logLatestUs = 0;
  #dueUs = 0;
  #frames = 0;

  /** @param maxGapUs longer silences of the log are cut to this */
  constructor(pace: Pace, maxGapUs: number) {
    this.#pace = pace;
    this.#maxGapUs = maxGapUs;
  }

  /** Takes the next frame's time in the log, µs, and gives the time at which it is due by the clock of `nowUs`, µs. */
  next(logUs: number, nowUs: number): number {
    if (this.#pace === "max") return nowUs;
    this.#startUs ??= nowUs;
    this.#dueUs = this.#startUs + this.#offsetUs(this.#pace, logUs);
    this.#frames++;
    const lagUs = nowUs - this.#dueUs;
    if (lagUs > MAX_LAG_US) {
      this.#startUs += lagUs;
      this.#dueUs = nowUs;
    }
    return this.#dueUs;
  }

  #offsetUs(pace: { speed: number } | { framesPerSecond: number }, logUs: number): number {
    if ("framesPerSecond" in pace) return (this.#frames * 1e6) / pace.framesPerSecond;
    if (this.#logStartUs === undefined) this.#logStartUs = this.#logLastUs = this.#logLatestUs = logUs;
    const gapUs = this.#gapUs(logUs);
    // What is no time in the play is taken out of the time since the start.
    this.#logStartUs += logUs - this.#logLastUs - gapUs;
    this.#logLastUs = logUs;
    this.#logLatestUs = Math.max(this.#logLatestUs, logUs);
    return (logUs - this.#logStartUs) / pace.speed;
  }

  /**
   * Time since the frame before. Where a clock was set back, or two logs were joined, it is none; and none again where
   * the log comes back to the time that it had been at: real logs have their clock wrong for a while.
   */
  #gapUs(logUs: number): number {
    const wasAway = this.#logLatestUs - this.#logLastUs > EXCURSION_US;
    const isBack = this.#logLatestUs - logUs < EXCURSION_US;
    if (logUs < this.#logLastUs || (wasAway && isBack)) return 0;
    return Math.min(logUs - this.#logLastUs, this.#maxGapUs);
  }

  /** Begins the log again, right after its last frame. */
  rewind(): void {
    this.#startUs = this.#dueUs + LOOP_GAP_US;
    this.#logStartUs = undefined;
    this.#frames = 0;
  }
}
