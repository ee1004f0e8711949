import { FrameBatch } from "../can/frame-batch.ts";
import { isRemoteWord } from "../can/id.ts";
import { CanfleetError } from "../errors.ts";
import { ByteTail, viewOf } from "./byte-tail.ts";
import { refusalAt } from "./link-lock.ts";
import { decodeRecord, isHelloAt, isSendableRecord } from "./record.ts";

const SIZE = 13;
/** Id word and DLC: all that the shortest record has. */
const HEAD = 5;

/** Where the edge's decoder puts what a host asked for. */
export interface HostRecordSink {
  /** Frames to send, in order; the batch becomes the sink's own. */
  frames(batch: FrameBatch): void;
  /** A canfleet host took up the greeting: `rest` and all later bytes are the extended link. */
  hello(rest: Uint8Array): void;
}

/**
 * Reads the 13-byte records of a host, in any split. It never searches for records, because guessing would put frames
 * on a bus that nobody sent: a chunk with anything else in it is thrown away whole, and the link must end.
 *
 * One thing is known and forgiven: socketsocketcan's Python TCPBus leaves out as many zeros of a remote frame's record
 * as its DLC says.
 */
export class HostRecordStream {
  readonly #sink: HostRecordSink;
  readonly #mayUpgrade: boolean;
  readonly #tail = new ByteTail();
  /** Zeros that may still come of a remote frame that was taken without them. */
  #lateZeros = 0;

  /** @param mayUpgrade whether a greeting was sent, so that a hello is one */
  constructor(sink: HostRecordSink, mayUpgrade: boolean) {
    this.#sink = sink;
    this.#mayUpgrade = mayUpgrade;
  }

  /** Whether bytes wait that may be a short remote frame, or the rest of one, which `quiet` would decide. */
  get isUndecided(): boolean {
    return this.#tail.length >= (this.#lateZeros > 0 ? 1 : HEAD);
  }

  /**
   * Takes the next bytes and hands out what is in them.
   *
   * @throws CanfleetError `WIRE_BAD_RECORD` at a record that may not be sent, `LINK_REFUSED` where the host wants a
   * token; the stream must not be used again
   */
  read(chunk: Uint8Array): void {
    this.#take(this.#tail.join(chunk), false);
  }

  /**
   * Nothing came for 50 ms: a remote frame that waits for its last zeros is taken as it is.
   *
   * @throws CanfleetError as `read`
   */
  quiet(): void {
    if (this.isUndecided) this.#take(this.#tail.join(new Uint8Array(0)), true);
  }

  #take(bytes: Uint8Array, isQuiet: boolean): void {
    const view = viewOf(bytes);
    const batch = new FrameBatch(Math.max(1, Math.ceil(bytes.length / HEAD)), bytes.length);
    let at = this.#passLateZeros(bytes, view, isQuiet);
    if (at < 0) {
      this.#tail.keep(bytes, 0);
      return;
    }
    for (let size = this.#sizeAt(bytes, view, at, isQuiet); size > 0; size = this.#sizeAt(bytes, view, at, isQuiet)) {
      decodeRecord(bytes, view, at, SIZE, batch);
      at += size;
    }
    const isHello = at + SIZE <= bytes.length;
    if (batch.count > 0) this.#sink.frames(batch.clone());
    if (isHello) this.#sink.hello(bytes.subarray(at + SIZE));
    else if (at < bytes.length) this.#tail.keep(bytes, at);
  }

  /**
   * A remote frame was taken as a short one because the line was quiet; it can have been a whole one that was held up.
   *
   * @returns where the next record begins; -1 while that cannot be told
   */
  #passLateZeros(bytes: Uint8Array, view: DataView, isQuiet: boolean): number {
    const zeros = this.#lateZeros;
    if (zeros === 0 || bytes.length === 0) return 0;
    const mayBeLate = areZeros(bytes, 0, Math.min(zeros, bytes.length));
    const isAll = bytes.length >= zeros + SIZE;
    if (mayBeLate && !isAll && !isQuiet) return -1;
    // Who leaves zeros out fills up with zeros where there is a payload.
    const isNow = this.#isRecord(bytes, view, 0) && isFilledUp(bytes, view);
    const isLater = mayBeLate && (bytes.length === zeros || this.#isRecord(bytes, view, zeros));
    if (mayBeLate && !isNow && !isLater && !isAll) return -1;
    if (isNow && isLater) {
      throw new CanfleetError("WIRE_BAD_RECORD", `${zeros} zeros late, or a frame of the id 0: nobody can tell`);
    }
    this.#lateZeros = 0;
    return isLater ? zeros : 0;
  }

  #isRecord(bytes: Uint8Array, view: DataView, at: number): boolean {
    if (bytes.length - at < SIZE) return false;
    return isSendableRecord(view, at) || (this.#mayUpgrade && isHelloAt(bytes, view, at));
  }

  /** @returns bytes of the record at `at`; 0 where there is none yet, or the hello */
  #sizeAt(bytes: Uint8Array, view: DataView, at: number, isQuiet: boolean): number {
    const left = bytes.length - at;
    if (left < SIZE) return isQuiet ? this.#shortEnd(bytes, view, at) : 0;
    if (isSendableRecord(view, at)) return this.#isShort(bytes, view, at) ? SIZE - bytes[at + 4]! : SIZE;
    if (this.#mayUpgrade && isHelloAt(bytes, view, at)) return 0;
    if (this.#mayUpgrade && refusalAt(bytes, at) === "wanted") {
      throw new CanfleetError("LINK_REFUSED", "the host wants a token, and this link has none");
    }
    const start = hexOf(bytes.subarray(at, at + SIZE));
    throw new CanfleetError("WIRE_BAD_RECORD", `no frame to send begins with ${start}`);
  }

  /** A remote frame without its last zeros, with which the bytes end. More zeros would be the beginning of the others. */
  #shortEnd(bytes: Uint8Array, view: DataView, at: number): number {
    const size = shortSizeAt(bytes, view, at);
    if (size === 0 || at + size !== bytes.length) return 0;
    this.#lateZeros = SIZE - size;
    return size;
  }

  /** Whether a remote frame is whole only when its last zeros are left out. */
  #isShort(bytes: Uint8Array, view: DataView, at: number): boolean {
    const size = shortSizeAt(bytes, view, at);
    if (size === 0 || size === SIZE) return false;
    const isWhole = areZeros(bytes, at + HEAD, at + SIZE) && this.#mayFollow(bytes, view, at + SIZE);
    return !isWhole && this.#mayFollow(bytes, view, at + size);
  }

  #mayFollow(bytes: Uint8Array, view: DataView, at: number): boolean {
    return at + SIZE > bytes.length || isSendableRecord(view, at) || isHelloAt(bytes, view, at);
  }
}

/** Bytes that the Python TCPBus writes for the remote frame at `at`; 0 where there is no such frame. */
function shortSizeAt(bytes: Uint8Array, view: DataView, at: number): number {
  if (bytes.length - at < HEAD || !isRemoteWord(view.getUint32(at, true)) || !isSendableRecord(view, at)) return 0;
  const size = SIZE - bytes[at + 4]!;
  return at + size <= bytes.length && areZeros(bytes, at + HEAD, at + size) ? size : 0;
}

/** Whether the first record has zeros behind its payload, or behind its head where it is a remote frame. */
function isFilledUp(bytes: Uint8Array, view: DataView): boolean {
  const dlc = bytes[4]!;
  return isRemoteWord(view.getUint32(0, true)) ? areZeros(bytes, HEAD, SIZE - dlc) : areZeros(bytes, HEAD + dlc, SIZE);
}

function areZeros(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
