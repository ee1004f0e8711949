/** MQTT 3.1.1 packets as bytes, wrong ones too: nothing here minds what the standard allows. */

export interface Will {
  topic: string;
  message: string;
  qos?: number;
  retain?: boolean;
}

/** A CONNECT; what is left out is as a plain client would have it. */
export interface ConnectOptions {
  id?: string | Uint8Array;
  /** Default true. */
  clean?: boolean;
  /** Seconds; default 0, no limit. */
  keepalive?: number;
  will?: Will;
  user?: string | Uint8Array;
  password?: string;
  /** Default "MQTT". */
  protocol?: string;
  /** Default 4. */
  level?: number;
  /** Bits to be flipped in the connect flags. */
  flipFlags?: number;
}

/** A number is a byte, a string has its 16-bit length before it, bytes are as they are. */
export type Part = number | string | Uint8Array;

/** A packet of these parts behind its first byte and its length. */
export function packet(first: number, ...parts: Part[]): Buffer {
  const body = Buffer.concat(parts.map(bytesOf));
  return Buffer.concat([Buffer.of(first), remainingLength(body.length), body]);
}

function bytesOf(part: Part): Uint8Array {
  if (typeof part === "number") return Buffer.of(part);
  return typeof part === "string" ? text(Buffer.from(part)) : part;
}

/** Bytes as a string field: behind their 16-bit length. */
export function text(bytes: Uint8Array): Buffer {
  return Buffer.concat([word(bytes.length), bytes]);
}

export function word(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

export function remainingLength(length: number): Buffer {
  const bytes: number[] = [];
  for (let rest = length; bytes.length === 0 || rest > 0; rest >>>= 7) bytes.push(rest & 0x7f);
  return Buffer.from(bytes.map((byte, at) => (at < bytes.length - 1 ? byte | 0x80 : byte)));
}

export function connect(options: ConnectOptions = {}): Buffer {
  const { id = "", clean = true, will, user, password, protocol = "MQTT", level = 4 } = options;
  const credentials = (password === undefined ? 0 : 0x40) | (user === undefined ? 0 : 0x80);
  const flags = (clean ? 2 : 0) | willFlags(will) | credentials;
  return packet(
    0x10,
    protocol,
    level,
    flags ^ (options.flipFlags ?? 0),
    word(options.keepalive ?? 0),
    field(id),
    ...(will ? [will.topic, will.message] : []),
    ...(user === undefined ? [] : [field(user)]),
    ...(password === undefined ? [] : [password]),
  );
}

function willFlags(will: Will | undefined): number {
  return will ? 4 | ((will.qos ?? 0) << 3) | (will.retain ? 0x20 : 0) : 0;
}

function field(value: string | Uint8Array): Part {
  return typeof value === "string" ? value : text(value);
}

export interface PublishOptions {
  qos?: number;
  retain?: boolean;
  dup?: boolean;
  /** Packet id for QoS 1 and 2; default 1. */
  id?: number;
}

export function publish(topic: string | Uint8Array, payload = "", options: PublishOptions = {}): Buffer {
  const { qos = 0, retain = false, dup = false, id = 1 } = options;
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  return packet(first, field(topic), ...(qos > 0 ? [word(id)] : []), Buffer.from(payload));
}

/** SUBSCRIBE with filters and their QoS by turns. */
export function subscribe(id: number, ...filters: Part[]): Buffer {
  return packet(0x82, word(id), ...filters);
}

export function unsubscribe(id: number, ...filters: Part[]): Buffer {
  return packet(0xa2, word(id), ...filters);
}

export const puback = (id: number): Buffer => packet(0x40, word(id));
export const pubrec = (id: number): Buffer => packet(0x50, word(id));
export const pubrel = (id: number): Buffer => packet(0x62, word(id));
export const pubcomp = (id: number): Buffer => packet(0x70, word(id));
export const PINGREQ = packet(0xc0);
export const DISCONNECT = packet(0xe0);

/** A packet from a broker. */
export interface Received {
  first: number;
  body: Buffer;
}

/** Takes one whole packet off the front of the bytes. */
export function takePacket(bytes: Buffer): { received: Received; rest: Buffer } | undefined {
  let length = 0;
  for (let at = 1; at < Math.min(bytes.length, 5); at++) {
    length += (bytes[at]! & 0x7f) * 128 ** (at - 1);
    if ((bytes[at]! & 0x80) !== 0) continue;
    const end = at + 1 + length;
    if (bytes.length < end) return undefined;
    return { received: { first: bytes[0]!, body: bytes.subarray(at + 1, end) }, rest: bytes.subarray(end) };
  }
  return undefined;
}

const NAMES: { [type: number]: string } = {
  2: "CONNACK",
  3: "PUBLISH",
  4: "PUBACK",
  5: "PUBREC",
  6: "PUBREL",
  7: "PUBCOMP",
  9: "SUBACK",
  11: "UNSUBACK",
  13: "PINGRESP",
};
/** First bytes that a broker's packets other than PUBLISH may have: type and flags. */
const FIRST_BYTES = new Set([0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0]);

/** Packet id of a received PUBLISH with QoS 1 or 2, or of an answer. */
export function idOf({ first, body }: Received): number {
  const at = first >> 4 === 3 ? 2 + body.readUInt16BE(0) : 0;
  return body.readUInt16BE(at);
}

/**
 * A received packet in words, to compare with: `CONNACK present=0 code=0`, `PUBLISH q1 topic payload` (then `retain`,
 * `dup`; packet ids of PUBLISH are the broker's choice and left out), `SUBACK 1: 0 128`, `PUBREC 7`, `PINGRESP`.
 */
export function describe({ first, body }: Received): string {
  const name = NAMES[first >> 4];
  if (name === undefined) return `type ${first >> 4}`;
  if (name === "PUBLISH") {
    const qos = (first >> 1) & 3;
    const topicEnd = 2 + body.readUInt16BE(0);
    const payload = body.toString("utf8", topicEnd + (qos > 0 ? 2 : 0));
    const flags = `${first & 1 ? " retain" : ""}${first & 8 ? " dup" : ""}`;
    return `PUBLISH q${qos} ${body.toString("utf8", 2, topicEnd)} ${payload}${flags}`;
  }
  if (!FIRST_BYTES.has(first)) return `${name} with first byte ${first.toString(16)}`;
  if (name === "PINGRESP") return name;
  if (name === "CONNACK") return `CONNACK present=${body[0]!} code=${body[1]!}`;
  const codes = name === "SUBACK" ? `: ${[...body.subarray(2)].join(" ")}` : "";
  return `${name} ${body.readUInt16BE(0)}${codes}`;
}
