const MAX_TEXTS = 256;
const DEFAULT_QUIET_MS = 60_000;

/** Lets a text through once in a while, so that a peer that comes again and again does not fill the log. */
export class RepeatFilter {
  readonly #quietMs: number;
  readonly #toldMs = new Map<string, number>();

  /** @param quietMs how long the same text is kept back after it was told. Default 60,000 */
  constructor(quietMs = DEFAULT_QUIET_MS) {
    this.#quietMs = quietMs;
  }

  /** Whether to tell it now. Of more than 256 different ones within the time, those that are new are not told. */
  isNews(text: string, nowMs = performance.now()): boolean {
    const toldMs = this.#toldMs.get(text);
    if (toldMs !== undefined && nowMs - toldMs < this.#quietMs) return false;
    if (this.#toldMs.size >= MAX_TEXTS) this.#forgetOld(nowMs);
    if (this.#toldMs.size >= MAX_TEXTS) return false;
    this.#toldMs.set(text, nowMs);
    return true;
  }

  #forgetOld(nowMs: number): void {
    for (const [text, toldMs] of this.#toldMs) if (nowMs - toldMs >= this.#quietMs) this.#toldMs.delete(text);
  }
}
