import { isErrorWord, isRemoteWord } from "./id.ts";
import { dlcOfLength } from "./dlc.ts";

/** CAN FD frame (ISO 11898-1). */
export const FLAG_FD = 1;
/** CAN FD bit rate switch: the payload was sent at the data bit rate. */
export const FLAG_BRS = 2;
/** CAN FD error state indicator: the sender was error passive. */
export const FLAG_ESI = 4;
/** Sent by the capturing host itself, seen again as its own reception. */
export const FLAG_OWN = 8;
/** Own, and the echo of a frame that went through canfleet's own socket (a send request or a raw link). */
export const FLAG_ECHO = 16;
export const ALL_FLAGS = FLAG_FD | FLAG_BRS | FLAG_ESI | FLAG_OWN | FLAG_ECHO;

/** Where frames can be lost, in the order of the path. */
export const LOSS_PLACES = ["kernel", "edge", "spool", "link", "hub", "app"] as const;
export type LossPlace = (typeof LOSS_PLACES)[number];

/** Frames lost, by place; `null` means that some may be lost and nobody can say how many. */
export type Losses = { [place: string]: number | null };

/** Adds a loss to a record of losses. Unknown (`null`) stays unknown, whatever is added. */
export function addLoss(losses: Losses, place: string, frames: number | null): void {
  const before = losses[place];
  losses[place] = frames === null || before === null ? null : (before ?? 0) + frames;
}

/** Adds every place of `more` to `losses`. */
export function addLosses(losses: Losses, more: Losses): void {
  for (const place of Object.keys(more)) addLoss(losses, place, more[place] ?? null);
}

/** The parts of one frame, for the places where frames come singly (a keyboard, a log line, a test). */
export interface FrameParts {
  /** µs since 1970 UTC. Default 0. */
  timestampUs?: number;
  idWord: number;
  /** Payload; for remote frames use `length` instead. */
  data?: Uint8Array;
  /** Requested length of a remote frame, 0–8. Default: the payload's length. */
  length?: number;
  /** Raw code 0–15. Default: the smallest one that holds the payload. */
  dlc?: number;
  /** Sum of `FLAG_*`. Default 0. */
  flags?: number;
}

/**
 * Frames of one bus, as columns: row `i` of every array is frame `i`. Nothing is allocated per frame.
 *
 * A batch that is handed to a callback belongs to the one who hands it over and is used again after the callback
 * returns: copy what must live longer (`clone`, or `append` to a batch of your own).
 */
export class FrameBatch {
  /** Frames that fit. */
  readonly capacity: number;
  /** Frames in it. */
  count = 0;
  /** Kernel receive time, whole µs since 1970 UTC (exact until the year 2255). */
  readonly timestampUs: Float64Array;
  /** Sub-microsecond part of the time, 0–999 ns; 0 where the source has none. */
  readonly timestampNs: Uint16Array;
  /** Id words as in linux/can.h: id | EFF | RTR | ERR. */
  readonly idWord: Uint32Array;
  /** Payload length in bytes, 0–8, CAN FD 0–64; for remote frames the requested length (they have no payload). */
  readonly length: Uint8Array;
  /** Raw data length code, 0–15. */
  readonly dlc: Uint8Array;
  /** Sum of `FLAG_*`. */
  readonly flags: Uint8Array;
  /** Payload `i` is `data[dataOffset[i]]` up to `data[dataOffset[i + 1]]`. */
  readonly dataOffset: Uint32Array;
  /** Payloads, one after the other. */
  readonly data: Uint8Array;

  /** Start of the capture, µs since 1970: with `seq` it names each frame for ever. 0 where the source has none. */
  epoch = 0;
  /** Sequence number of the first frame on this bus in this epoch; frame `i` has `seq + i`. -1 where unknown. */
  seq = -1;
  /** `FLAG_*` bits that the source cannot tell: they are 0 in `flags` and mean nothing there. */
  unknownFlags = 0;
  /** Frames lost just before this batch, by place; undefined when none. */
  lost: Losses | undefined = undefined;

  /**
   * @param capacity frames, 1 or more
   * @param dataCapacity payload bytes in total. Default: 64 for each frame.
   */
  constructor(capacity: number, dataCapacity = capacity * 64) {
    this.capacity = capacity;
    this.timestampUs = new Float64Array(capacity);
    this.timestampNs = new Uint16Array(capacity);
    this.idWord = new Uint32Array(capacity);
    this.length = new Uint8Array(capacity);
    this.dlc = new Uint8Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.dataOffset = new Uint32Array(capacity + 1);
    this.data = new Uint8Array(dataCapacity);
  }

  /** A batch of one. */
  static of(...frames: FrameParts[]): FrameBatch {
    const batch = new FrameBatch(Math.max(1, frames.length));
    for (const frame of frames) batch.push(frame);
    return batch;
  }

  /** Payload bytes in it. */
  get dataLength(): number {
    return this.dataOffset[this.count]!;
  }

  /** Empties the batch; what it said of its origin (`epoch`, `seq`, `unknownFlags`, `lost`) is forgotten too. */
  clear(): void {
    this.count = 0;
    this.epoch = 0;
    this.seq = -1;
    this.unknownFlags = 0;
    this.lost = undefined;
  }

  /** Whether another frame with this many payload bytes fits. */
  fits(payloadBytes: number): boolean {
    return this.count < this.capacity && this.dataLength + payloadBytes <= this.data.length;
  }

  /** Payload of frame `i`: a view, not a copy. */
  payload(i: number): Uint8Array {
    return this.data.subarray(this.dataOffset[i], this.dataOffset[i + 1]);
  }

  /**
   * Adds one frame.
   *
   * @throws RangeError when it does not fit
   */
  push(frame: FrameParts): void {
    const bare = isRemoteWord(frame.idWord);
    const data = bare ? undefined : frame.data;
    const length = data?.length ?? frame.length ?? 0;
    const stored = bare ? 0 : length;
    if (!this.fits(stored)) throw new RangeError("the batch is full");
    const i = this.count;
    const at = this.dataOffset[i]!;
    this.timestampUs[i] = frame.timestampUs ?? 0;
    this.timestampNs[i] = 0;
    this.idWord[i] = frame.idWord;
    this.length[i] = length;
    this.dlc[i] = frame.dlc ?? dlcOfLength(length);
    this.flags[i] = frame.flags ?? 0;
    if (data) this.data.set(data, at);
    else this.data.fill(0, at, at + stored);
    this.dataOffset[i + 1] = at + stored;
    this.count = i + 1;
  }

  /**
   * Adds frames `from` up to (not including) `to` of another batch, as many as fit.
   *
   * @returns how many were added
   */
  append(source: FrameBatch, from = 0, to = source.count): number {
    const end = this.#lastThatFits(source, from, to);
    const added = end - from;
    if (added <= 0) return 0;
    const at = this.count;
    this.timestampUs.set(source.timestampUs.subarray(from, end), at);
    this.timestampNs.set(source.timestampNs.subarray(from, end), at);
    this.idWord.set(source.idWord.subarray(from, end), at);
    this.length.set(source.length.subarray(from, end), at);
    this.dlc.set(source.dlc.subarray(from, end), at);
    this.flags.set(source.flags.subarray(from, end), at);
    const base = this.dataOffset[at]!;
    const sourceBase = source.dataOffset[from]!;
    this.data.set(source.data.subarray(sourceBase, source.dataOffset[end]), base);
    const shift = base - sourceBase;
    for (let i = from; i < end; i++) this.dataOffset[at + i - from + 1] = source.dataOffset[i + 1]! + shift;
    this.count = at + added;
    return added;
  }

  #lastThatFits(source: FrameBatch, from: number, to: number): number {
    let end = Math.min(to, from + this.capacity - this.count);
    const limit = source.dataOffset[from]! + this.data.length - this.dataLength;
    while (end > from && source.dataOffset[end]! > limit) end--;
    return end;
  }

  /** A copy of its own with the same origin, cut to size. */
  clone(from = 0, to = this.count): FrameBatch {
    const copy = new FrameBatch(Math.max(1, to - from), this.dataOffset[to]! - this.dataOffset[from]!);
    copy.append(this, from, to);
    copy.epoch = this.epoch;
    copy.seq = this.seq < 0 ? -1 : this.seq + from;
    copy.unknownFlags = this.unknownFlags;
    if (this.lost && from === 0) copy.lost = { ...this.lost };
    return copy;
  }

  /** Keeps the frames that `keep` says yes to, in order. Their sequence numbers are no longer in a row: `seq` is -1. */
  filter(keep: (batch: FrameBatch, i: number) => boolean): FrameBatch {
    const selected = new FrameBatch(Math.max(1, this.count), this.dataLength);
    for (let i = 0; i < this.count; i++) {
      if (keep(this, i)) selected.append(this, i, i + 1);
    }
    const kept = selected.clone();
    kept.epoch = this.epoch;
    kept.unknownFlags = this.unknownFlags;
    kept.lost = this.lost;
    return kept;
  }

  /** The parts of frame `i`, for the places where frames go singly; the payload is a view. */
  partsOf(i: number): FrameParts {
    return {
      timestampUs: this.timestampUs[i]!,
      idWord: this.idWord[i]!,
      data: this.payload(i),
      length: this.length[i]!,
      dlc: this.dlc[i]!,
      flags: this.flags[i]!,
    };
  }

  isFd(i: number): boolean {
    return (this.flags[i]! & FLAG_FD) !== 0;
  }

  isError(i: number): boolean {
    return isErrorWord(this.idWord[i]!);
  }
}
