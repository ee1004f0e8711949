import type { HubLog } from "../log.ts";

/** Warnings a second at most: what strangers cause must not fill a disk. */
const MAX_LINES = 10;
const PERIOD_MS = 1_000;

/** Passes warnings on, a few a second; says how many it did not. */
export class LogLimit {
  readonly #log: HubLog;
  #sinceMs = -Infinity;
  #lines = 0;
  #skipped = 0;

  constructor(log: HubLog) {
    this.#log = log;
  }

  warn(text: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#sinceMs >= PERIOD_MS) {
      if (this.#skipped > 0) this.#log("warn", `${this.#skipped} more refusals were not logged`);
      this.#sinceMs = nowMs;
      this.#lines = 0;
      this.#skipped = 0;
    }
    if (this.#lines++ < MAX_LINES) this.#log("warn", text);
    else this.#skipped++;
  }
}
