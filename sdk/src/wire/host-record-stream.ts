import { FrameBatch } from "../can/frame-batch.ts";
import { CanfleetError } from "../errors.ts";
import { ByteTail, viewOf } from "./byte-tail.ts";
import { decodeRecord, HELLO_SIZE, isHelloAt, isSendableRecord } from "./record.ts";

const SIZE = 13;

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

  /**
   * Takes the next bytes and hands out what is in them.
   *
   * @throws CanfleetError `WIRE_BAD_RECORD` at a record that may not be sent; the stream must not be used again
   */
  read(chunk: Uint8Array): void {
    const bytes = this.#tail.join(chunk);
    const view = viewOf(bytes);
    const end = this.#plausibleEnd(bytes, view);
    const isHello = end + HELLO_SIZE <= bytes.length;
    if (end > 0) this.#sink.frames(decodeAll(bytes, view, end));
    if (isHello) this.#sink.hello(bytes.subarray(end + HELLO_SIZE));
    else if (end < bytes.length) this.#tail.keep(bytes, end);
  }

  /** @returns the offset of the hello, or of the unfinished last record */
  #plausibleEnd(bytes: Uint8Array, view: DataView): number {
    let at = 0;
    for (; at + SIZE <= bytes.length; at += SIZE) {
      if (isSendableRecord(view, at)) continue;
      if (this.#mayUpgrade && isHelloAt(bytes, view, at)) break;
      const start = hexOf(bytes.subarray(at, at + SIZE));
      throw new CanfleetError("WIRE_BAD_RECORD", `no frame to send begins with ${start}`);
    }
    return at;
  }
}

function decodeAll(bytes: Uint8Array, view: DataView, end: number): FrameBatch {
  const batch = new FrameBatch(end / SIZE, (end / SIZE) * 8);
  for (let at = 0; at < end; at += SIZE) decodeRecord(bytes, view, at, SIZE, batch);
  return batch;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
