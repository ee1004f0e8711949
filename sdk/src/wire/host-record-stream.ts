import { FrameBatch } from "../can/frame-batch.ts";
import { isRemoteWord } from "../can/id.ts";
import { CanfleetError } from "../errors.ts";
import { ByteTail, viewOf } from "./byte-tail.ts";
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

  /** @param mayUpgrade whether a greeting was sent, so that a hello is one */
  constructor(sink: HostRecordSink, mayUpgrade: boolean) {
    this.#sink = sink;
    this.#mayUpgrade = mayUpgrade;
  }

  /** Whether bytes wait that may be a short remote frame, which `quiet` would decide. */
  get isUndecided(): boolean {
    return this.#tail.length >= HEAD;
  }

  /**
   * Takes the next bytes and hands out what is in them.
   *
   * @throws CanfleetError `WIRE_BAD_RECORD` at a record that may not be sent; the stream must not be used again
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
    let at = 0;
    for (let size = this.#sizeAt(bytes, view, 0, isQuiet); size > 0; size = this.#sizeAt(bytes, view, at, isQuiet)) {
      decodeRecord(bytes, view, at, SIZE, batch);
      at += size;
    }
    const isHello = at + SIZE <= bytes.length;
    if (batch.count > 0) this.#sink.frames(batch.clone());
    if (isHello) this.#sink.hello(bytes.subarray(at + SIZE));
    else if (at < bytes.length) this.#tail.keep(bytes, at);
  }

  /** @returns bytes of the record at `at`; 0 where there is none yet, or the hello */
  #sizeAt(bytes: Uint8Array, view: DataView, at: number, isQuiet: boolean): number {
    const left = bytes.length - at;
    if (left < SIZE) return isQuiet ? shortSizeAt(bytes, view, at) : 0;
    if (isSendableRecord(view, at)) return this.#isShort(bytes, view, at) ? SIZE - bytes[at + 4]! : SIZE;
    if (this.#mayUpgrade && isHelloAt(bytes, view, at)) return 0;
    const start = hexOf(bytes.subarray(at, at + SIZE));
    throw new CanfleetError("WIRE_BAD_RECORD", `no frame to send begins with ${start}`);
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

function areZeros(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
