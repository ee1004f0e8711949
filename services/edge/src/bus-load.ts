import { BitCounter, type FrameBatch } from "@canfleet/sdk";

/**
 * How busy a bus was, in percent of the time, by the bits of the frames that were read (`BitCounter`).
 *
 * Frames that the kernel is known to have dropped count as long as the mean of those that were read.
 */
export class BusLoad {
  readonly #bits = new BitCounter();
  #bitrate: number | null = null;
  #dataBitrate: number | null = null;
  #lost = 0;
  #incomplete = false;
  #sinceMs: number;

  /** @param nowMs any clock that never goes back, ms */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** Bit rates from now on, bit/s; null where not known. Other ones than before begin a new interval. */
  setBitrates(bitrate: number | null, dataBitrate: number | null, nowMs: number): void {
    if (bitrate === this.#bitrate && dataBitrate === this.#dataBitrate) return;
    this.#bitrate = bitrate;
    this.#dataBitrate = dataBitrate;
    this.#begin(nowMs);
  }

  add(batch: FrameBatch): void {
    this.#bits.add(batch);
  }

  /** Frames that were on the bus and not read; null where their number is not known: then the load is not either. */
  lost(frames: number | null): void {
    if (frames === null) this.#incomplete = true;
    else this.#lost += frames;
  }

  /**
   * Load since the last call in percent, 0–100, one decimal, and the begin of a new interval; null where it cannot be
   * known: no bit rate, no data bit rate though frames used one, or frames that were not seen.
   */
  take(nowMs: number): number | null {
    const elapsedMs = nowMs - this.#sinceMs;
    const busyMs = this.#busyMs();
    const known = !this.#incomplete && elapsedMs > 0;
    this.#begin(nowMs);
    if (!known || busyMs === null) return null;
    // Frames wait in queues: what an interval read may have been on the bus just before it.
    return Math.min(100, Math.round((1000 * busyMs) / elapsedMs) / 10);
  }

  #busyMs(): number | null {
    const { nominal, data, frames } = this.#bits;
    if (this.#bitrate === null || (data > 0 && this.#dataBitrate === null)) return null;
    const readMs = (1000 * nominal) / this.#bitrate + (data > 0 ? (1000 * data) / this.#dataBitrate! : 0);
    if (frames === 0) return this.#lost > 0 ? null : 0;
    return (readMs * (frames + this.#lost)) / frames;
  }

  #begin(nowMs: number): void {
    this.#bits.clear();
    this.#lost = 0;
    this.#incomplete = false;
    this.#sinceMs = nowMs;
  }
}
