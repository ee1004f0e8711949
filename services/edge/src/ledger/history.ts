import type { GoneRange, Losses } from "@canfleet/sdk";
import { Pages, type Piece } from "./pages.ts";

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

/** A batch in memory. Its payload is copied whenever it is read. */
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

/** A batch whose payload lies in a page. */
class KeptBatch implements HistoryEntry {
  readonly epoch: number;
  readonly seq: number;
  readonly end: number;
  connection: number;
  sentAtMs: number;
  spooled: boolean;
  readonly piece: Piece;
  readonly #pages: Pages;

  constructor(entry: HistoryEntry, pages: Pages) {
    this.epoch = entry.epoch;
    this.seq = entry.seq;
    this.end = entry.end;
    this.connection = entry.connection;
    this.sentAtMs = entry.sentAtMs;
    this.spooled = entry.spooled;
    this.piece = pages.put(entry.payload);
    this.#pages = pages;
  }

  get payload(): Uint8Array {
    return this.#pages.copy(this.piece);
  }
}

/** The newest batches of one epoch of a bus, in order, bounded by bytes. */
export class History {
  #bytes = 0;
  #head = 0;
  #entries: KeptBatch[] = [];
  readonly #pages = new Pages();
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

  /** Adds a batch behind all others; its payload is copied. */
  push(entry: HistoryEntry): void {
    const kept = new KeptBatch(entry, this.#pages);
    this.#entries.push(kept);
    this.#bytes += kept.piece.length + ENTRY_BYTES;
  }

  /** Takes out the oldest batch if there are too many bytes. Its payload can be read until the next `push`. */
  takeExcess(): HistoryEntry | undefined {
    if (this.#bytes <= this.#maxBytes || this.length <= 1) return undefined;
    const oldest = this.#entries[this.#head++]!;
    this.#bytes -= oldest.piece.length + ENTRY_BYTES;
    this.#pages.free(oldest.piece);
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
