import { FLAG_OWN, type FrameBatch } from "@canfleet/sdk/browser";

/** Weight of the newest distance between two frames in the mean. */
const NEWEST = 0.1;
/** Ids that are kept at most; a bus has tens to hundreds. */
export const MAX_ROWS = 4_096;

/** The newest frame of one id and direction, and what is known of the ones before. One object an id, not a frame. */
export class IdRow {
  readonly key: number;
  readonly idWord: number;
  /** Sent by the edge's own host. */
  readonly isOwn: boolean;
  count = 0;
  length = 0;
  /** Time of the newest frame, µs since 1970, by the edge's clock. */
  lastUs = 0;
  /** Between the two newest frames, ms; undefined until there are two. */
  dtMs: number | undefined = undefined;
  /** Mean distance, ms. */
  periodMs: number | undefined = undefined;
  /** When the newest frame came to this page, ms of `performance.now()`. */
  arrivedMs = 0;
  readonly data = new Uint8Array(64);
  /** When each byte changed last, ms of `performance.now()`. */
  readonly changedMs = new Float64Array(64).fill(Number.NEGATIVE_INFINITY);
  /** 1 where the last change was up, -1 where it was down. */
  readonly direction = new Int8Array(64);

  constructor(key: number, idWord: number, isOwn: boolean) {
    this.key = key;
    this.idWord = idWord;
    this.isOwn = isOwn;
  }

  /** Takes frame `i` of a batch. */
  take(batch: FrameBatch, i: number, nowMs: number): void {
    const timeUs = batch.timestampUs[i]!;
    if (this.count > 0) this.#takeDistance((timeUs - this.lastUs) / 1000);
    this.lastUs = timeUs;
    this.arrivedMs = nowMs;
    this.length = batch.length[i]!;
    const from = batch.dataOffset[i]!;
    const size = batch.dataOffset[i + 1]! - from;
    for (let b = 0; b < size; b++) {
      const byte = batch.data[from + b]!;
      const before = this.data[b]!;
      if (byte === before) continue;
      if (this.count > 0) {
        this.changedMs[b] = nowMs;
        this.direction[b] = byte > before ? 1 : -1;
      }
      this.data[b] = byte;
    }
    this.count++;
  }

  #takeDistance(dtMs: number): void {
    this.dtMs = dtMs;
    this.periodMs = this.periodMs === undefined ? dtMs : this.periodMs + NEWEST * (dtMs - this.periodMs);
  }

  /** Frames a second; 0 once the id is five periods late. */
  hz(nowMs: number): number {
    const period = this.periodMs;
    if (period === undefined || period <= 0) return 0;
    return nowMs - this.arrivedMs > Math.max(5 * period, 1_000) ? 0 : 1_000 / period;
  }
}

/** All ids of one bus. */
export class IdRows {
  readonly rows: IdRow[] = [];
  /** Frames of ids beyond `MAX_ROWS`. */
  ignoredFrames = 0;
  #byKey = new Map<number, IdRow>();

  take(batch: FrameBatch, nowMs: number): void {
    for (let i = 0; i < batch.count; i++) {
      const idWord = batch.idWord[i]!;
      const isOwn = (batch.flags[i]! & FLAG_OWN) !== 0;
      const row = this.#byKey.get(keyOf(idWord, isOwn)) ?? this.#add(idWord, isOwn);
      if (row) row.take(batch, i, nowMs);
      else this.ignoredFrames++;
    }
  }

  #add(idWord: number, isOwn: boolean): IdRow | undefined {
    if (this.rows.length >= MAX_ROWS) return undefined;
    const row = new IdRow(keyOf(idWord, isOwn), idWord, isOwn);
    this.#byKey.set(row.key, row);
    this.rows.push(row);
    return row;
  }

  clear(): void {
    this.rows.length = 0;
    this.#byKey = new Map();
    this.ignoredFrames = 0;
  }
}

function keyOf(idWord: number, isOwn: boolean): number {
  return isOwn ? idWord + 2 ** 32 : idWord;
}
