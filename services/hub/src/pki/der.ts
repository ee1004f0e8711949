/**
 * The few DER types (ITU-T X.690) that a certificate and a certificate request are made of. Node verifies certificates and
 * signs bytes, but has nothing that writes X.509; the libraries that do would add some twenty packages to the hub.
 */

const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

export { TAG as DER_TAG };

/** One value: tag, length in the shortest form, contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const digits = length.subarray(length.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.of(tag, 0x80 | digits.length), digits, body]);
}

export function sequence(...items: readonly Uint8Array[]): Buffer {
  return der(TAG.sequence, ...items);
}

export function octets(bytes: Uint8Array): Buffer {
  return der(TAG.octetString, bytes);
}

/** Whole bytes; or with `unusedBits` the bits of a flag list. */
export function bits(bytes: Uint8Array, unusedBits = 0): Buffer {
  return der(TAG.bitString, Buffer.of(unusedBits), bytes);
}

/** A number of any size, given as big-endian bytes and never negative. */
export function unsigned(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.of(0) : Buffer.from(bytes.subarray(first));
  return digits[0]! < 0x80 ? der(TAG.integer, digits) : der(TAG.integer, Buffer.of(0), digits);
}

/** An object identifier from its text, `1.2.840.10045.2.1`. */
export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const base128 = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let high = Math.floor(value / 128); high > 0; high = Math.floor(high / 128))
      digits.unshift(0x80 | (high & 0x7f));
    return digits;
  };
  return der(TAG.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** Whole seconds of UTC: two digits of the year until 2049, four from then on (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const text = `${date.toISOString().replace(/[-:T]|\..*$/g, "")}Z`;
  const isLate = date.getUTCFullYear() >= 2050;
  return der(isLate ? TAG.generalizedTime : TAG.utcTime, Buffer.from(isLate ? text : text.slice(2), "latin1"));
}

/** One value that was read. */
export interface DerValue {
  tag: number;
  /** The value with tag and length; a view. */
  whole: Buffer;
  /** What is in it; a view. */
  contents: Buffer;
}

/**
 * Reads the values that fill `bytes` one after the other; what is in them is left as it is.
 *
 * @throws RangeError when the bytes are not that: every length is checked before it is used
 */
export function readDer(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length;) {
    const value = readOne(bytes.subarray(at));
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

function readOne(bytes: Buffer): DerValue {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new RangeError("not DER");
  const digits = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || digits > 3 || bytes.length < 2 + digits) throw new RangeError("not DER");
  const length = digits === 0 ? first : bytes.readUIntBE(2, digits);
  const start = 2 + digits;
  if (length > bytes.length - start) throw new RangeError("not DER");
  return { tag, whole: bytes.subarray(0, start + length), contents: bytes.subarray(start, start + length) };
}
