/** Nonces of the last minute: a send request is executed once, however often it arrives. */
export class SeenNonces {
  readonly #keepMs: number;
  readonly #max: number;
  readonly #seen = new Map<string, number>();

  /**
   * @param keepMs how long a nonce is remembered, ms
   * @param max nonces that are remembered; with more, new requests are refused rather than old ones forgotten early
   */
  constructor(keepMs: number, max: number) {
    this.#keepMs = keepMs;
    this.#max = max;
  }

  /** @returns false when the nonce was seen before, or cannot be remembered */
  add(nonce: Uint8Array, nowMs = performance.now()): boolean {
    this.#forget(nowMs);
    const key = Buffer.from(nonce.buffer, nonce.byteOffset, nonce.length).toString("base64");
    if (this.#seen.has(key) || this.#seen.size >= this.#max) return false;
    this.#seen.set(key, nowMs + this.#keepMs);
    return true;
  }

  #forget(nowMs: number): void {
    for (const [key, until] of this.#seen) {
      if (until > nowMs) return;
      this.#seen.delete(key);
    }
  }
}
