/** Bytes that came before and could not be read yet, in front of those that come now. */
export class ByteTail {
  #held = new Uint8Array(0);

  /** Bytes kept. */
  get length(): number {
    return this.#held.length;
  }

  /** The kept bytes and the chunk in a row: the chunk itself when none were kept. */
  join(chunk: Uint8Array): Uint8Array {
    if (this.#held.length === 0) return chunk;
    const joined = new Uint8Array(this.#held.length + chunk.length);
    joined.set(this.#held);
    joined.set(chunk, this.#held.length);
    this.#held = new Uint8Array(0);
    return joined;
  }

  /** Keeps a copy of the bytes from `from` on. */
  keep(bytes: Uint8Array, from: number): void {
    this.#held = bytes.slice(from);
  }
}

/** A view of the same bytes for numbers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
