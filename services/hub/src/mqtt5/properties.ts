import { isUtf8 } from "node:buffer";

/** Reason codes (MQTT 5, 2.4) that the hub gives. */
export const REASON = {
  success: 0x00,
  noSubscription: 0x11,
  unspecified: 0x80,
  malformed: 0x81,
  protocol: 0x82,
  implementation: 0x83,
  version: 0x84,
  clientId: 0x85,
  credentials: 0x86,
  notAuthorized: 0x87,
  unavailable: 0x88,
  shuttingDown: 0x8b,
  authMethod: 0x8c,
  takenOver: 0x8e,
  topicName: 0x90,
  topicAlias: 0x94,
  tooLarge: 0x95,
  quota: 0x97,
  retain: 0x9a,
  sharedSubscriptions: 0x9e,
  subscriptionIds: 0xa1,
} as const;

/** A packet that ends its connection; the text is for the log. */
export class Mqtt5Fault extends Error {
  readonly reason: number;

  constructor(reason: number, text: string) {
    super(text);
    this.reason = reason;
  }
}

/** Reads the fields of one whole packet; lengths are checked before they are used. Bytes returned are views. */
export class PacketReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, from: number) {
    this.#bytes = bytes;
    this.#at = from;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `count` bytes. */
  bytes(count: number): Buffer {
    if (count > this.left) throw new Mqtt5Fault(REASON.malformed, "a length that does not fit the contents");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  byte(): number {
    return this.bytes(1)[0]!;
  }

  word(): number {
    return this.bytes(2).readUInt16BE();
  }

  /** Variable byte integer (1.5.5). */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Mqtt5Fault(REASON.malformed, "a variable byte integer of more than four bytes");
  }

  /** Text or bytes behind their 16-bit length, which stays before them. */
  prefixed(): Buffer {
    const from = this.#at;
    this.bytes(this.word());
    return this.#bytes.subarray(from, this.#at);
  }
}

const BYTE = 0;
const WORD = 1;
const LONG = 2;
const VARINT = 3;
const BYTES = 4;
const TEXT = 5;
const PAIR = 6;

/** Properties that clients may send (2.2.2.2) and how each is written. */
const SHAPES: ReadonlyMap<number, number> = new Map([
  [0x01, BYTE], // payload format indicator
  [0x02, LONG], // message expiry interval
  [0x03, TEXT], // content type
  [0x08, TEXT], // response topic
  [0x09, BYTES], // correlation data
  [0x0b, VARINT], // subscription identifier
  [0x11, LONG], // session expiry interval
  [0x15, TEXT], // authentication method
  [0x16, BYTES], // authentication data
  [0x17, BYTE], // request problem information
  [0x18, LONG], // will delay interval
  [0x19, BYTE], // request response information
  [0x1f, TEXT], // reason string
  [0x21, WORD], // receive maximum
  [0x22, WORD], // topic alias maximum
  [0x23, WORD], // topic alias
  [0x26, PAIR], // user property
  [0x27, LONG], // maximum packet size
]);

export const SUBSCRIPTION_ID = 0x0b;
export const SESSION_EXPIRY = 0x11;
export const AUTH_METHOD = 0x15;
export const RECEIVE_MAXIMUM = 0x21;
export const TOPIC_ALIAS = 0x23;
const USER_PROPERTY = 0x26;
export const MAXIMUM_PACKET_SIZE = 0x27;

export const CONNECT_PROPERTIES = new Set([0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
export const WILL_PROPERTIES = new Set([0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
export const PUBLISH_PROPERTIES = new Set([0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26]);
export const SUBSCRIBE_PROPERTIES = new Set([0x0b, 0x26]);
export const UNSUBSCRIBE_PROPERTIES = new Set([0x26]);
export const ACK_PROPERTIES = new Set([0x1f, 0x26]);
export const DISCONNECT_PROPERTIES = new Set([0x11, 0x1f, 0x26]);

/**
 * Reads properties with their length before them. Only numbers are returned, and 0 for what was there otherwise.
 *
 * @param allowed those of this packet
 */
export function readProperties(reader: PacketReader, allowed: ReadonlySet<number>): ReadonlyMap<number, number> {
  const properties = new Map<number, number>();
  const inside = new PacketReader(reader.bytes(reader.varint()), 0);
  while (inside.left > 0) {
    const id = inside.varint();
    const shape = SHAPES.get(id);
    if (shape === undefined) throw new Mqtt5Fault(REASON.malformed, `property ${id}, which clients do not send`);
    if (!allowed.has(id)) throw new Mqtt5Fault(REASON.protocol, `property ${id} in a packet that has none such`);
    if (properties.has(id) && id !== USER_PROPERTY) throw new Mqtt5Fault(REASON.protocol, `property ${id} twice`);
    properties.set(id, readValue(inside, shape));
  }
  return properties;
}

function readValue(reader: PacketReader, shape: number): number {
  switch (shape) {
    case BYTE: {
      const value = reader.byte();
      if (value > 1) throw new Mqtt5Fault(REASON.protocol, "a property of 0 or 1 that is neither");
      return value;
    }
    case WORD:
      return reader.word();
    case LONG:
      return reader.bytes(4).readUInt32BE();
    case VARINT:
      return reader.varint();
    case BYTES:
      reader.prefixed();
      return 0;
    case PAIR:
      checkText(reader.prefixed());
      checkText(reader.prefixed());
      return 0;
    default:
      checkText(reader.prefixed());
      return 0;
  }
}

function checkText(prefixed: Buffer): void {
  const text = prefixed.subarray(2);
  if (!isUtf8(text) || text.includes(0)) throw new Mqtt5Fault(REASON.malformed, "a property that is not UTF-8");
}

/** Remaining length, or any other variable byte integer. */
export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A packet: first byte, remaining length, contents. */
export function encodePacket(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.of(first), encodeVarint(length), ...parts]);
}
