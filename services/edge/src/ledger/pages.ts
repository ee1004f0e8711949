/** Size of a page, bytes: many batches fit, and the part at its end that none fits into is small. */
const PAGE_BYTES = 64 * 1024;
/** Empty pages that are kept for what comes next. */
const MAX_SPARE = 2;

interface Page {
  bytes: Uint8Array;
  /** Pieces in it that are still wanted. */
  wanted: number;
}

/** Bytes put into a page; gone once they were given back. */
export interface Piece {
  readonly page: Page;
  readonly at: number;
  readonly length: number;
}

/**
 * Memory for pieces that come and go in order.
 *
 * As a buffer each, they would live long enough for the garbage collector to take them for old and then leave them for
 * a long time: an edge with 8 MiB of batches held up to 23 MB.
 */
export class Pages {
  #current: Page = newPage(0);
  #used = 0;
  readonly #spare: Page[] = [];

  /** Copies the bytes. */
  put(bytes: Uint8Array): Piece {
    if (this.#used + bytes.length > this.#current.bytes.length) {
      const full = this.#current;
      this.#current = this.#spare.pop() ?? newPage(Math.max(PAGE_BYTES, bytes.length));
      if (bytes.length > this.#current.bytes.length) this.#current = newPage(bytes.length);
      this.#used = 0;
      this.#keepSpare(full);
    }
    const piece = { page: this.#current, at: this.#used, length: bytes.length };
    this.#current.bytes.set(bytes, this.#used);
    this.#used += bytes.length;
    this.#current.wanted++;
    return piece;
  }

  /** A copy of a piece, for whoever may keep it. */
  copy({ page, at, length }: Piece): Uint8Array {
    return page.bytes.slice(at, at + length);
  }

  /** Gives a piece back, once. */
  free({ page }: Piece): void {
    page.wanted--;
    if (page !== this.#current) this.#keepSpare(page);
  }

  #keepSpare(page: Page): void {
    if (page.wanted > 0 || page.bytes.length !== PAGE_BYTES || this.#spare.length >= MAX_SPARE) return;
    this.#spare.push(page);
  }
}

function newPage(length: number): Page {
  return { bytes: new Uint8Array(length), wanted: 0 };
}
