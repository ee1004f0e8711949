import { setTimeout as sleep } from "node:timers/promises";

/** Time for drivers that make their own frames; tests bring a clock of their own. */
export interface Clock {
  /** Whole µs since 1970 UTC; follows the machine's clock when that is set. */
  wallUs(): number;
  /** µs since some moment; never goes back and never jumps. */
  monotonicUs(): number;
  /** Resolves after so many ms, or as soon as the signal aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** `Date.now()` is cut to whole ms; only what differs by more means that the machine's clock was set. */
const MAX_DEVIATION_MS = 2;

let wallOffsetMs = performance.timeOrigin;

/** The machine's clocks. */
export const systemClock: Clock = {
  wallUs() {
    const elapsedMs = performance.now();
    const wallMs = Date.now();
    const deviationMs = wallMs - (wallOffsetMs + elapsedMs);
    if (deviationMs > MAX_DEVIATION_MS || deviationMs < -MAX_DEVIATION_MS) wallOffsetMs = wallMs - elapsedMs;
    return Math.floor((wallOffsetMs + elapsedMs) * 1000);
  },
  monotonicUs() {
    return performance.now() * 1000;
  },
  async wait(ms, signal) {
    try {
      await sleep(ms, undefined, { signal });
    } catch {
      // Aborted: the caller looks at the signal.
    }
  },
};
