/** A CBOR item as RFC 8949 names it, with nothing interpreted: what a schema speaks of. */
export type CborNode =
  | { kind: "uint"; value: bigint }
  | { kind: "nint"; value: bigint }
  | { kind: "bstr"; value: Uint8Array }
  | { kind: "tstr"; value: string }
  | { kind: "array"; items: CborNode[] }
  | { kind: "map"; entries: [key: CborNode, value: CborNode][] }
  | { kind: "tag"; tag: bigint; content: CborNode }
  | { kind: "null" | "true" | "false" | "undefined" }
  | { kind: "float"; value: number };

/**
 * Reads one item of definite length that fills the bytes. Written apart from the product's decoder, which hides tags
 * and widths.
 *
 * @throws RangeError when the bytes are not one whole item
 */
export function readCbor(bytes: Uint8Array): CborNode {
  const reader = new Reader(bytes);
  const node = reader.item();
  if (reader.at !== bytes.length) throw new RangeError(`${bytes.length - reader.at} bytes behind the item`);
  return node;
}

const SIMPLE: { [value: number]: "false" | "true" | "null" | "undefined" } = {
  20: "false",
  21: "true",
  22: "null",
  23: "undefined",
};

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  item(): CborNode {
    const first = this.#take(1)[0]!;
    const major = first >> 5;
    if (major === 7) return this.#simple(first & 31);
    const argument = this.#argument(first & 31);
    const size = Number(argument);
    switch (major) {
      case 0:
        return { kind: "uint", value: argument };
      case 1:
        return { kind: "nint", value: -1n - argument };
      case 2:
        return { kind: "bstr", value: this.#take(size) };
      case 3:
        return { kind: "tstr", value: new TextDecoder("utf-8", { fatal: true }).decode(this.#take(size)) };
      case 4:
        return { kind: "array", items: this.#times(size, () => this.item()) };
      case 5:
        return { kind: "map", entries: this.#times(size, () => [this.item(), this.item()]) };
      default:
        return { kind: "tag", tag: argument, content: this.item() };
    }
  }

  #times<T>(count: number, read: () => T): T[] {
    if (count > this.#bytes.length) throw new RangeError(`${count} items in ${this.#bytes.length} bytes`);
    return Array.from({ length: count }, read);
  }

  #argument(info: number): bigint {
    if (info < 24) return BigInt(info);
    if (info > 27) throw new RangeError(`additional information ${info}: not of definite length`);
    const bytes = this.#take(1 << (info - 24));
    return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  #simple(info: number): CborNode {
    const kind = SIMPLE[info];
    if (kind) return { kind };
    if (info !== 27) throw new RangeError(`simple value ${info}`);
    this.#take(8);
    return { kind: "float", value: this.#view.getFloat64(this.at - 8) };
  }

  #take(size: number): Uint8Array {
    if (this.at + size > this.#bytes.length) throw new RangeError("the bytes end inside an item");
    this.at += size;
    return this.#bytes.subarray(this.at - size, this.at);
  }
}
