import { createInterface } from "node:readline";
import { LatencyHistogram } from "./latency-histogram.ts";

/** Bytes of the feeder's time at the start of a payload. */
const STAMP_BYTES = 8;
const CLOCK_LOOKS = 100;

/** What an app saw since it was reset. Times are µs of the monotonic clock. */
export interface AppReport {
  frames: number;
  /** Frames that it was told to be lost. */
  lost: number;
  firstUs: number;
  lastUs: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
}

/** Counts the frames of an app and how old they are by the time that the feeder wrote into each. */
export class FrameMeter {
  readonly #histogram = new LatencyHistogram();
  readonly #clockOffsetUs = monotonicOffsetUs();
  #frames = 0;
  #lost = 0;
  #firstUs = 0;
  #lastUs = 0;

  /** Counts frames that the app has in its hands now. */
  count(frames: number): void {
    this.#frames += frames;
    this.#lastUs = performance.now() * 1000 + this.#clockOffsetUs;
    if (this.#firstUs === 0) this.#firstUs = this.#lastUs;
  }

  /** Counts frames that the app was told to be lost. */
  countLost(frames: number): void {
    this.#lost += frames;
  }

  /**
   * Takes the latency of a frame that was counted last.
   *
   * @param at where its payload begins: the feeder's time, ns, little-endian; where there is no room for it, nothing is
   *   taken
   */
  addLatency(data: Uint8Array, at: number): void {
    if (at + STAMP_BYTES > data.length) return;
    const low = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    const high = data[at + 4]! | (data[at + 5]! << 8) | (data[at + 6]! << 16) | (data[at + 7]! << 24);
    this.#histogram.add(this.#lastUs - ((high >>> 0) * 2 ** 32 + (low >>> 0)) / 1000);
  }

  report(): AppReport {
    const [p50Us, p99Us, p999Us] = [0.5, 0.99, 0.999].map((share) => this.#histogram.quantile(share));
    return {
      frames: this.#frames,
      lost: this.#lost,
      firstUs: this.#firstUs,
      lastUs: this.#lastUs,
      p50Us: p50Us!,
      p99Us: p99Us!,
      p999Us: p999Us!,
    };
  }

  reset(): void {
    this.#frames = this.#lost = this.#firstUs = this.#lastUs = 0;
    this.#histogram.clear();
  }

  /** Says that the app is ready, then answers the bench on stdin: `report`, `reset`, `count`. */
  serve(ready: object): void {
    createInterface({ input: process.stdin }).on("line", (command) => {
      if (command === "reset") this.reset();
      say(command === "count" ? { frames: this.#frames } : this.report());
    });
    process.once("SIGTERM", () => process.exit(0));
    say(ready);
  }
}

/**
 * From performance.now() to CLOCK_MONOTONIC, the feeder's clock, µs: the closest of many looks at both. The first one
 * compiles and loads what it needs, for a millisecond in a program that has not used them.
 */
function monotonicOffsetUs(): number {
  let offsetUs = 0;
  let leastMs = Infinity;
  for (let look = 0; look < CLOCK_LOOKS; look++) {
    const beforeMs = performance.now();
    const monotonicNs = process.hrtime.bigint();
    const afterMs = performance.now();
    if (afterMs - beforeMs >= leastMs) continue;
    leastMs = afterMs - beforeMs;
    offsetUs = Number(monotonicNs) / 1000 - ((beforeMs + afterMs) / 2) * 1000;
  }
  return offsetUs;
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
