import { Encoder, setSizeLimits, Tag, type Options } from "cbor-x";

// A hostile map of 65,536 keys costs 100 ms without these; ours have a dozen keys and at most 4,096 items.
setSizeLimits({ maxArraySize: 4096, maxMapSize: 64, maxObjectSize: 64 });

// int64AsNumber is missing in the library's types: 64-bit integers become numbers, exact to 2^53.
const OPTIONS: Options & { int64AsNumber: boolean } = {
  useRecords: false,
  variableMapSize: true,
  tagUint8Array: false,
  int64AsNumber: true,
};

const encoder = new Encoder(OPTIONS);

/** RFC 8746 tag of a uint8 typed array. u16 (69) and u32 (70) are the library's own. */
const TAG_U8 = 64;

export type CborMap = { readonly [key: string]: unknown };

/** Encodes plain values (RFC 8949). Byte arrays become plain byte strings, `Uint16Array` and `Uint32Array` typed arrays. */
export function encodeCbor(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/** A byte column: a `Uint8Array` that is tagged as a typed array, not a plain byte string. */
export function u8Column(bytes: Uint8Array): unknown {
  return new Tag(bytes, TAG_U8);
}

/** An unsigned integer that may be above 2^32: the library writes such numbers as floats unless they are BigInt. */
export function uint(value: number): number | bigint {
  return value > 0xffffffff ? BigInt(value) : value;
}

/**
 * Decodes one item, which must be a map. Byte strings in it may be views of `bytes`.
 *
 * @throws Error saying what is wrong with the bytes
 */
export function decodeCborMap(bytes: Uint8Array): CborMap {
  const value: unknown = encoder.decode(bytes);
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw new Error("expected a map");
  }
  return value as CborMap;
}
