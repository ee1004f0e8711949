import { RangeSet, type Range } from "@canfleet/sdk";
import { HEADER_BYTES, segmentFile, type RecordHead, type SegmentId } from "./segment-format.ts";

/** Bytes that are read at a time, about: what is between two entries of a segment's index. */
const PAGE_BYTES = 128 * 1024;

/** What is known of one segment's file. */
export class Segment {
  readonly id: SegmentId;
  /** Name of the file. */
  readonly file: string;
  /** Bytes of the file that count. */
  size = HEADER_BYTES;
  /** When it was first seen that the hub has all of it, ms; undefined: it has not. */
  settledAtMs: number | undefined;
  /** Numbers of all batches in it that can be read as far as is known, wanted or not. */
  readonly numbers = new RangeSet();
  /** When its first batch was written, µs since 1970. */
  oldestUs: number | undefined;
  /** When its last batch was written, ms since the machine's start. */
  newestUptimeMs = 0;
  /** Where pages begin, and the first number in each. */
  readonly #pages: { offset: number; seq: number }[] = [];

  constructor(id: SegmentId, file = segmentFile(id)) {
    this.id = id;
    this.file = file;
  }

  /** Enters a batch that lies at `offset`. @returns false when it is not behind all others */
  enter({ seq, count, timeUs, uptimeMs }: RecordHead, offset: number): boolean {
    if (count < 1 || seq < this.numbers.end) return false;
    const page = this.#pages.at(-1);
    if (!page || offset - page.offset >= PAGE_BYTES) this.#pages.push({ offset, seq });
    this.numbers.add(seq, seq + count);
    this.oldestUs ??= timeUs;
    this.newestUptimeMs = uptimeMs;
    return true;
  }

  /** Place of the page that holds a number. */
  pageOf(seq: number): number {
    let low = 0;
    let high = this.#pages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pages[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Bytes and numbers of a page as it is now; undefined behind the last one. */
  page(place: number): { bytes: Range; numbers: Range } | undefined {
    const page = this.#pages[place];
    if (!page) return undefined;
    const next = this.#pages[place + 1];
    return { bytes: [page.offset, next?.offset ?? this.size], numbers: [page.seq, next?.seq ?? this.numbers.end] };
  }
}
