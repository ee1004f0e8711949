/** Buckets per power of two: a quantile is off by less than 5 %. */
const STEPS = 16;
const BUCKETS = 40 * STEPS;

/** Counts of latencies in buckets that grow with the value, so that a million cost as much as one. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  /** @param us µs; what is below 1 counts as 1 */
  add(us: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.floor(Math.log2(Math.max(1, us)) * STEPS));
    this.#counts[bucket]!++;
    this.#total++;
  }

  /** The value in µs that this share (0–1) does not exceed; 0 where nothing was counted. */
  quantile(share: number): number {
    const wanted = share * this.#total;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]!;
      if (seen > 0 && seen >= wanted) return 2 ** ((bucket + 0.5) / STEPS);
    }
    return 0;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
