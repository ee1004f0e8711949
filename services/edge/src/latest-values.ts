import { FrameBatch, isErrorWord } from "@canfleet/sdk";

/** Ids that are kept at most; a bus with more hands the rest on as they come. */
const MAX_IDS = 4096;

/**
 * Keeps the newest frame of each id and hands all of them on at a fixed rate: the seed's `use_unordered_map` with
 * `limit_recv_rate_hz`. What a newer frame replaced is skipped on purpose and counted as such.
 */
export class LatestValues {
  /** Frames that a newer one replaced. */
  skipped = 0;
  readonly #rows = new Map<number, number>();
  readonly #out: (batch: FrameBatch) => void;
  readonly #timer: NodeJS.Timeout;
  #kept = new FrameBatch(MAX_IDS);

  /** @param out takes the newest frames, ordered by time; the batch is reused */
  constructor(rateHz: number, out: (batch: FrameBatch) => void) {
    this.#out = out;
    this.#timer = setInterval(() => this.flush(), 1000 / rateHz);
  }

  add(batch: FrameBatch): void {
    this.#kept.unknownFlags |= batch.unknownFlags;
    for (let i = 0; i < batch.count; i++) {
      const row = this.#rows.get(batch.idWord[i]!);
      // Each error frame tells of another fault, and a longer payload does not fit the old place: those are added.
      if (row === undefined || isErrorWord(batch.idWord[i]!) || !this.#replace(row, batch, i)) this.#append(batch, i);
      else this.skipped++;
    }
  }

  #append(batch: FrameBatch, i: number): void {
    if (this.#kept.append(batch, i, i + 1) === 0) {
      this.flush();
      this.#kept.append(batch, i, i + 1);
    }
    this.#rows.set(batch.idWord[i]!, this.#kept.count - 1);
  }

  #replace(row: number, batch: FrameBatch, i: number): boolean {
    const kept = this.#kept;
    const payload = batch.payload(i);
    if (payload.length !== kept.payload(row).length) return false;
    kept.timestampUs[row] = batch.timestampUs[i]!;
    kept.timestampNs[row] = batch.timestampNs[i]!;
    kept.length[row] = batch.length[i]!;
    kept.dlc[row] = batch.dlc[i]!;
    kept.flags[row] = batch.flags[i]!;
    kept.data.set(payload, kept.dataOffset[row]);
    return true;
  }

  /** Hands on what is kept now. */
  flush(): void {
    if (this.#kept.count === 0) return;
    const { unknownFlags } = this.#kept;
    const order = Uint32Array.from({ length: this.#kept.count }, (_, row) => row).sort(
      (a, b) => this.#kept.timestampUs[a]! - this.#kept.timestampUs[b]!,
    );
    const sorted = new FrameBatch(this.#kept.count, this.#kept.dataLength);
    for (const row of order) sorted.append(this.#kept, row, row + 1);
    sorted.unknownFlags = unknownFlags;
    this.#kept.clear();
    this.#rows.clear();
    this.#out(sorted);
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
  }
}
