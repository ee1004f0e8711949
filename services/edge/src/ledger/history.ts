import type { GoneRange, Losses } from "@canfleet/sdk";

/** A batch as it was closed: the same bytes live, kept, spooled and sent again. */
export interface StoredBatch {
  readonly epoch: number;
  readonly seq: number;
  /** One above its last number. */
  readonly end: number;
  readonly payload: Uint8Array;
}

/** What a batch states of others: goes with it, and must be said again when it is lost itself. */
export interface Statement {
  gone: GoneRange[];
  lost: Losses;
}

/** A batch in memory. */
export interface HistoryEntry extends StoredBatch {
  /** Connection on which it was sent last; 0: never. */
  connection: number;
  /** When it was sent last, ms. */
  sentAtMs: number;
  /** The spool has it too. */
  spooled: boolean;
}

/** What one kept batch costs besides its payload, bytes. */
const ENTRY_BYTES = 160;

/** The newest batches of one epoch of a bus, in order, bounded by bytes. */
export class History {
  #bytes = 0;
  #head = 0;
  #entries: HistoryEntry[] = [];
  readonly #maxBytes: number;

  /** @param maxBytes payloads and what they cost; the newest batch is always kept */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Entry `i`, 0 is the oldest. */
  at(i: number): HistoryEntry | undefined {
    return this.#entries[this.#head + i];
  }

  /** First number in it; Infinity when empty. */
  get first(): number {
    return this.at(0)?.seq ?? Infinity;
  }

  /** Adds a batch behind all others. */
  push(entry: HistoryEntry): void {
    this.#entries.push(entry);
    this.#bytes += entry.payload.length + ENTRY_BYTES;
  }

  /** Takes out the oldest batch if there are too many bytes. */
  takeExcess(): HistoryEntry | undefined {
    if (this.#bytes <= this.#maxBytes || this.length <= 1) return undefined;
    const oldest = this.#entries[this.#head++]!;
    this.#bytes -= oldest.payload.length + ENTRY_BYTES;
    // Moving all entries down for each one taken would cost as much as there are entries.
    if (this.#head > 1024 && this.#head > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return oldest;
  }

  /** Place of the first batch that ends above `seq`; `length` when none does. */
  placeOf(seq: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.at(middle)!.end > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
