/** Major types of RFC 8949, section 3.1. */
export const CBOR_UINT = 0;
export const CBOR_BYTES = 2;
export const CBOR_TEXT = 3;
export const CBOR_ARRAY = 4;
export const CBOR_MAP = 5;
const CBOR_TAG = 6;
const CBOR_SIMPLE = 7;

const textDecoder = new TextDecoder();
/** Up to this length a text of ASCII is put together here: for keys that is five times faster than a decoder. */
const SHORT_BYTES = 16;
/** Depth of nested items that `skip` follows. */
const MAX_DEPTH = 8;

/**
 * Reads a CBOR payload item by item without building anything, for those who need three numbers out of a batch.
 * Definite lengths only, as docs/wire-mqtt.md asks for.
 *
 * Every method throws RangeError where the bytes end too early or are something else.
 */
export class CborCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  /** Major type of the head that was read last. */
  #major = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Reads an item's head. @returns its argument: the number, the length, the tag */
  #head(): number {
    const initial = this.#view.getUint8(this.#at++);
    this.#major = initial >> 5;
    const info = initial & 31;
    if (info < 24) return info;
    const at = this.#at;
    if (info === 24) return this.#took(1, this.#view.getUint8(at));
    if (info === 25) return this.#took(2, this.#view.getUint16(at));
    if (info === 26) return this.#took(4, this.#view.getUint32(at));
    if (info === 27) return this.#took(8, this.#view.getUint32(at) * 2 ** 32 + this.#view.getUint32(at + 4));
    throw new RangeError("CBOR of indefinite length");
  }

  #took(bytes: number, value: number): number {
    this.#at += bytes;
    return value;
  }

  /** Reads the head of an item of this type. @returns its argument: the number, or the length */
  expect(major: number): number {
    const argument = this.#head();
    if (this.#major !== major) throw new RangeError(`CBOR of major type ${this.#major} instead of ${major}`);
    return argument;
  }

  uint(): number {
    const value = this.expect(CBOR_UINT);
    if (!Number.isSafeInteger(value)) throw new RangeError("a CBOR integer above 2^53");
    return value;
  }

  text(): string {
    const length = this.expect(CBOR_TEXT);
    const at = this.#pass(length);
    return this.#shortAscii(at, length) ?? textDecoder.decode(this.#bytes.subarray(at, at + length));
  }

  #shortAscii(at: number, length: number): string | undefined {
    if (length > SHORT_BYTES) return undefined;
    let text = "";
    for (let i = at; i < at + length; i++) {
      const byte = this.#bytes[i]!;
      if (byte > 0x7f) return undefined;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** Length of a byte string, tagged or not, whose bytes are passed over. */
  byteLength(): number {
    let length = this.#head();
    if (this.#major === CBOR_TAG) length = this.#head();
    if (this.#major !== CBOR_BYTES) throw new RangeError("no byte string");
    this.#pass(length);
    return length;
  }

  /** Passes over so many bytes. @returns where they begin */
  #pass(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new RangeError("CBOR ends early");
    this.#at += length;
    return at;
  }

  /** Passes over one item and all that is in it. */
  skip(depth = 0): void {
    if (depth > MAX_DEPTH) throw new RangeError("CBOR nested too deeply");
    const argument = this.#head();
    const major = this.#major;
    if (major === CBOR_BYTES || major === CBOR_TEXT) this.#pass(argument);
    else if (major === CBOR_ARRAY) this.#skipMany(argument, depth);
    else if (major === CBOR_MAP) this.#skipMany(argument * 2, depth);
    else if (major === CBOR_TAG) this.skip(depth + 1);
    else if (major === CBOR_SIMPLE && argument === 31) throw new RangeError("CBOR of indefinite length");
  }

  #skipMany(items: number, depth: number): void {
    for (let i = 0; i < items; i++) this.skip(depth + 1);
  }
}
