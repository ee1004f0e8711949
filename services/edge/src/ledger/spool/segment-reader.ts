import { RangeSet, type Range } from "@canfleet/sdk";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { StoredBatch } from "../history.ts";
import { findRecords, KIND_BATCH } from "./segment-format.ts";
import type { Segment } from "./segment.ts";

/** Pages that are kept: two readers, backfill and requests, with what each reads next. */
const MAX_CHUNKS = 4;

interface Chunk {
  segment: Segment;
  page: number;
  /** Where reading ended. */
  end: number;
  batches: Map<number, StoredBatch>;
  /** Numbers of all batches in it, by where they begin. */
  starts: number[];
}

/** Reads batches of segments a page at a time, ahead of who asks for them in order. */
export class SegmentReader {
  readonly #folder: string;
  readonly #onRead: (segment: Segment, missing: Range[]) => void;
  #chunks: Chunk[] = [];
  readonly #loading = new Set<string>();

  /** @param onRead a page was read; numbers that should have been in it are missing */
  constructor(folder: string, onRead: (segment: Segment, missing: Range[]) => void) {
    this.#folder = folder;
    this.#onRead = onRead;
  }

  /** The batch that holds a number of the segment; undefined when it turned out not to be there. */
  read(segment: Segment, seq: number): StoredBatch | "later" | undefined {
    const page = segment.pageOf(seq);
    const chunk = this.#chunks.find((other) => other.segment === segment && other.page === page);
    const batch = chunk && batchOf(chunk, seq);
    if (batch) {
      this.#load(segment, page + 1);
      return batch;
    }
    if (chunk) {
      if (chunk.end >= (segment.page(page)?.bytes[1] ?? 0)) return undefined;
      this.#chunks = this.#chunks.filter((other) => other !== chunk);
    }
    this.#load(segment, page);
    return "later";
  }

  /** Forgets what was read of a segment. */
  forget(segment: Segment): void {
    this.#chunks = this.#chunks.filter((chunk) => chunk.segment !== segment);
  }

  #load(segment: Segment, page: number): void {
    const known = segment.page(page);
    const key = `${segment.file}:${page}`;
    const isThere = this.#chunks.some((chunk) => chunk.segment === segment && chunk.page === page);
    if (!known || isThere || this.#loading.has(key)) return;
    this.#loading.add(key);
    void this.#readPage(segment, known.bytes).then((batches) => {
      this.#loading.delete(key);
      const starts = [...batches.keys()].sort((a, b) => a - b);
      this.#chunks.push({ segment, page, end: known.bytes[1], batches, starts });
      if (this.#chunks.length > MAX_CHUNKS) this.#chunks.shift();
      const found = new RangeSet([...batches.values()].map(({ seq, end }) => [seq, end] as const));
      const expected = segment.numbers.within(...known.numbers);
      this.#onRead(
        segment,
        expected.flatMap(([from, to]) => found.missing(from, to)),
      );
    });
  }

  /** What cannot be read is as good as damaged: nothing of it is there. */
  async #readPage(segment: Segment, [from, to]: Range): Promise<Map<number, StoredBatch>> {
    const batches = new Map<number, StoredBatch>();
    const bytes = Buffer.alloc(to - from);
    try {
      const handle = await open(join(this.#folder, segment.file), "r");
      try {
        await handle.read(bytes, 0, bytes.length, from);
      } finally {
        await handle.close();
      }
    } catch {
      return batches;
    }
    for (const { kind, epoch, seq, count, payload } of findRecords(bytes, 0, segment.id.salt)) {
      if (kind === KIND_BATCH && epoch === segment.id.epoch)
        batches.set(seq, { epoch, seq, end: seq + count, payload });
    }
    return batches;
  }
}

function batchOf({ starts, batches }: Chunk, seq: number): StoredBatch | undefined {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= seq) low = middle + 1;
    else high = middle;
  }
  const batch = batches.get(starts[low - 1] ?? -1);
  return batch && batch.end > seq ? batch : undefined;
}
