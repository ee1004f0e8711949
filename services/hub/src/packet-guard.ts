import type { Duplex } from "node:stream";

/**
 * Watches the fixed headers of the packets that come in and says when one announces more than may come.
 *
 * The parser behind it collects a packet until it is whole, so a peer that nobody knows yet could make it keep 256 MB:
 * the length has to be judged where it is announced, not where the packet ends.
 */
export class PacketGuard {
  /** Largest packet in bytes, fixed header not counted. May change at any time. */
  maxPacketBytes: number;
  /** Bytes seen. */
  receivedBytes = 0;
  #toSkip = 0;
  #inHeader = false;
  #length = 0;
  /** What the next byte of the length counts for (MQTT 3.1.1, 2.2.3). */
  #weight = 1;

  constructor(maxPacketBytes: number) {
    this.maxPacketBytes = maxPacketBytes;
  }

  /** Looks at the next bytes; false when they announce a packet that is too large or a length that is none. */
  admits(chunk: Uint8Array): boolean {
    this.receivedBytes += chunk.length;
    let at = 0;
    while (at < chunk.length) {
      if (this.#inHeader) {
        if (!this.#takeLengthByte(chunk[at++]!)) return false;
      } else if (this.#toSkip > 0) {
        const step = Math.min(this.#toSkip, chunk.length - at);
        this.#toSkip -= step;
        at += step;
      } else {
        this.#inHeader = true;
        this.#length = 0;
        this.#weight = 1;
        at++;
      }
    }
    return true;
  }

  #takeLengthByte(byte: number): boolean {
    this.#length += (byte & 0x7f) * this.#weight;
    if (this.#length > this.maxPacketBytes) return false;
    if ((byte & 0x80) === 0) {
      this.#inHeader = false;
      this.#toSkip = this.#length;
      return true;
    }
    this.#weight *= 128;
    // Four bytes at most (MQTT 3.1.1, 2.2.3).
    return this.#weight <= 2 ** 21;
  }
}

/**
 * Puts a guard before whoever takes bytes from `conn` with `read()`. A packet that is too large ends the connection
 * with an error; its bytes are not handed on.
 */
export function guardPackets(conn: Duplex, guard: PacketGuard, refused: () => void): void {
  const read = conn.read.bind(conn) as (size?: number) => Buffer | null;
  conn.read = (size?: number): Buffer | null => {
    const chunk = read(size);
    if (chunk === null || guard.admits(chunk)) return chunk;
    refused();
    conn.destroy(new Error(`packet larger than ${guard.maxPacketBytes} bytes`));
    return null;
  };
}
