import { existsSync } from "node:fs";

/** A deviation from the monotonic clock that is no slewing (500 ppm at most) and no pause between two readings, ms. */
const MIN_STEP_MS = 100;
/** Readings of one moment: the one least interrupted counts. */
const ATTEMPTS = 3;
/** Made by systemd-timesyncd when it has set the clock; other time services leave no such mark. */
const SYNCHRONISED_MARK = "/run/systemd/timesync/synchronized";

/** Both clocks of the machine at one moment, ms. */
export interface ClockReading {
  wallMs: number;
  monotonicMs: number;
}

/** Reads both clocks, as nearly at the same moment as can be. */
export function readClocks(): ClockReading {
  let best: ClockReading & { tookMs: number } = { wallMs: 0, monotonicMs: 0, tookMs: Infinity };
  for (let i = 0; i < ATTEMPTS && best.tookMs > 1; i++) {
    const before = performance.now();
    const wallMs = Date.now();
    const tookMs = performance.now() - before;
    if (tookMs < best.tookMs) best = { wallMs, monotonicMs: before + tookMs / 2, tookMs };
  }
  return best;
}

/** Whether the machine's time service says that it has set the clock; null: not known. */
export function isSynchronised(): true | null {
  return existsSync(SYNCHRONISED_MARK) ? true : null;
}

/** Notices that somebody sets the machine's clock. */
export class WallClock {
  /** How often it was set since the start. */
  steps = 0;
  /** By how much the last time, µs; positive: forward. null: never. */
  lastStepUs: number | null = null;
  readonly #read: () => ClockReading;
  #differenceMs: number;

  constructor(read: () => ClockReading = readClocks) {
    this.#read = read;
    this.#differenceMs = difference(read());
  }

  /** Looks at the clock; to be called about once a second. @returns the step since the last look, µs; 0: none */
  look(): number {
    const differenceMs = difference(this.#read());
    const stepUs = Math.round((differenceMs - this.#differenceMs) * 1000);
    this.#differenceMs = differenceMs;
    if (Math.abs(stepUs) < MIN_STEP_MS * 1000) return 0;
    this.steps++;
    this.lastStepUs = stepUs;
    return stepUs;
  }
}

function difference({ wallMs, monotonicMs }: ClockReading): number {
  return wallMs - monotonicMs;
}
