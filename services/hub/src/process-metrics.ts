import { monitorEventLoopDelay, type IntervalHistogram } from "node:perf_hooks";

/** Cost of this process, in the base units of Prometheus. */
export interface ProcessMetrics {
  cpuSeconds: number;
  residentBytes: number;
  heapBytes: number;
  /** Since 1970, s. */
  startedAtSeconds: number;
  /** 99th percentile of how late the event loop was since the last reading, s. */
  eventLoopLagSeconds: number;
}

/** How often the event loop's delay is sampled, ms. What is above this is lag. */
const RESOLUTION_MS = 20;

/** Reads what this process costs. */
export class ProcessMeter {
  readonly #delays: IntervalHistogram;

  constructor() {
    this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delays.enable();
  }

  /** Begins a new period for the event loop's lag. */
  read(): ProcessMetrics {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    // No sample yet: the loop has not turned.
    const delayMs = this.#delays.count === 0 ? RESOLUTION_MS : this.#delays.percentile(99) / 1e6;
    this.#delays.reset();
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: rss,
      heapBytes: heapUsed,
      startedAtSeconds: performance.timeOrigin / 1000,
      eventLoopLagSeconds: Math.max(0, delayMs - RESOLUTION_MS) / 1000,
    };
  }

  close(): void {
    this.#delays.disable();
  }
}
