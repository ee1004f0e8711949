import { randomBytes } from "node:crypto";
import * as T from "../mqtt/packet-types.ts";
import { FLAG_CLEAN, FLAG_PASSWORD, FLAG_USER_NAME, FLAG_WILL } from "../mqtt/fields.ts";
import * as P from "./properties.ts";
import { encodePacket, Mqtt5Fault, PacketReader, readProperties, REASON } from "./properties.ts";
import type { AskedFilter, Mqtt5Session } from "./session.ts";

/** What the hub offers, for CONNACK. */
export interface Offer {
  /** Largest packet that it takes, bytes. */
  maxPacketBytes: number;
  /** QoS 1 and 2 publishes that it takes at a time. */
  receiveMaximum: number;
}

/** Stands for a filter that is refused before the broker sees it: the broker refuses this one, whoever asks. */
const REFUSED = "$SYS/refused/";
const PROTOCOL_311 = Buffer.from([0, 4, ...Buffer.from("MQTT"), 4]);
const EMPTY = Buffer.of(0, 0);

/**
 * Packets of an MQTT 5 client as those of 3.1.1. Text is handed on as its bytes are, for the check behind to look at.
 *
 * @throws Mqtt5Fault
 */
export class Inbound {
  readonly #session: Mqtt5Session;
  readonly #offer: Offer;
  readonly #limitBytes: () => number;
  #hasLeft = false;
  #chunks: Buffer[] = [];
  #length = 0;
  /** Length of the packet that has begun; 0: not known yet. */
  #needed = 0;
  #bodyAt = 0;

  /** @param limitBytes largest packet now, fixed header not counted */
  constructor(session: Mqtt5Session, offer: Offer, limitBytes: () => number) {
    this.#session = session;
    this.#offer = offer;
    this.#limitBytes = limitBytes;
  }

  /** Whether the client has said goodbye: nothing counts any more. */
  hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Takes bytes as they come; returns what whole packets they complete. */
  take(chunk: Buffer): Buffer[] {
    const translated: Buffer[] = [];
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (!this.#hasLeft && this.#isWhole()) {
      const all = this.#join();
      const packet = all.subarray(0, this.#needed);
      const rest = all.subarray(this.#needed);
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#length = rest.length;
      this.#needed = 0;
      const bytes = this.#translate(packet[0]!, new PacketReader(packet, this.#bodyAt));
      if (bytes) translated.push(bytes);
    }
    return translated;
  }

  #join(): Buffer {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
  }

  #isWhole(): boolean {
    if (this.#needed === 0) {
      const head = this.#join();
      this.#chunks = [head];
      this.#readHeader(head);
    }
    return this.#needed > 0 && this.#length >= this.#needed;
  }

  #readHeader(head: Buffer): void {
    let remaining = 0;
    for (let at = 1; at < head.length; at++) {
      remaining += (head[at]! & 0x7f) << (7 * (at - 1));
      // Judged where it is announced: nothing of it is kept.
      if (remaining > this.#limitBytes()) throw new Mqtt5Fault(REASON.tooLarge, "a packet that is too large");
      if (head[at]! < 0x80) {
        this.#bodyAt = at + 1;
        this.#needed = this.#bodyAt + remaining;
        return;
      }
      if (at === 4) throw new Mqtt5Fault(REASON.malformed, "a remaining length of more than four bytes");
    }
  }

  #translate(first: number, reader: PacketReader): Buffer | undefined {
    switch (first >> 4) {
      case T.CONNECT:
        return this.#connect(first, reader);
      case T.PUBLISH:
        return publish(first, reader);
      case T.PUBACK:
      case T.PUBREC:
      case T.PUBREL:
      case T.PUBCOMP:
        return acknowledgement(first, reader);
      case T.SUBSCRIBE:
        return this.#subscribe(first, reader);
      case T.UNSUBSCRIBE:
        return this.#unsubscribe(first, reader);
      case T.DISCONNECT:
        return this.#disconnect(first, reader);
      case T.PINGREQ:
        return encodePacket(first, reader.bytes(reader.left));
      default:
        throw new Mqtt5Fault(REASON.protocol, `${T.typeName(first >> 4)}, which is not offered or not a client's`);
    }
  }

  /** 3.1 */
  #connect(first: number, reader: PacketReader): Buffer {
    reader.bytes(PROTOCOL_311.length); // looked at before it came here
    const flags = reader.byte();
    const keepalive = reader.bytes(2);
    const properties = readProperties(reader, P.CONNECT_PROPERTIES);
    if (properties.has(P.AUTH_METHOD)) throw new Mqtt5Fault(REASON.authMethod, "an authentication method");
    const clientId = reader.prefixed();
    const will: Buffer[] = [];
    if ((flags & FLAG_WILL) !== 0) {
      readProperties(reader, P.WILL_PROPERTIES);
      will.push(reader.prefixed(), reader.prefixed());
    }
    // MQTT 3.1.1 has no password without a user.
    const hasUser = (flags & FLAG_USER_NAME) !== 0;
    const lacksUser = !hasUser && (flags & FLAG_PASSWORD) !== 0;
    const user = hasUser ? [reader.prefixed()] : lacksUser ? [EMPTY] : [];
    const rest = reader.bytes(reader.left);
    this.#heed(properties);
    const id = clientId.length > 2 ? clientId : this.#assignClientId();
    const flags311 = flags | FLAG_CLEAN | (lacksUser ? FLAG_USER_NAME : 0);
    return encodePacket(first, PROTOCOL_311, Buffer.of(flags311), keepalive, id, ...will, ...user, rest);
  }

  #heed(properties: ReadonlyMap<number, number>): void {
    const maxPacketBytes = properties.get(P.MAXIMUM_PACKET_SIZE) ?? Infinity;
    const receiveMaximum = properties.get(P.RECEIVE_MAXIMUM) ?? 65_535;
    if (maxPacketBytes === 0 || receiveMaximum === 0) throw new Mqtt5Fault(REASON.protocol, "a maximum of 0");
    this.#session.maxPacketBytes = maxPacketBytes;
    this.#session.maxQos = receiveMaximum < 65_535 ? 0 : 2;
    const offered = [
      ...[P.RECEIVE_MAXIMUM, this.#offer.receiveMaximum >> 8, this.#offer.receiveMaximum & 0xff],
      ...[P.MAXIMUM_PACKET_SIZE, ...long(this.#offer.maxPacketBytes)],
      ...[0x29, 0, 0x2a, 0], // no subscription identifiers, no shared subscriptions
      ...((properties.get(P.SESSION_EXPIRY) ?? 0) > 0 ? [P.SESSION_EXPIRY, 0, 0, 0, 0] : []),
    ];
    this.#session.connackProperties = Buffer.from(offered);
  }

  #assignClientId(): Buffer {
    const prefixed = prefix(`mqtt5_${randomBytes(8).toString("hex")}`);
    this.#session.connackProperties = Buffer.concat([this.#session.connackProperties, Buffer.of(0x12), prefixed]);
    return prefixed;
  }

  /** 3.8 */
  #subscribe(first: number, reader: PacketReader): Buffer {
    const id = reader.bytes(2);
    const properties = readProperties(reader, P.SUBSCRIBE_PROPERTIES);
    if (properties.has(P.SUBSCRIPTION_ID)) throw new Mqtt5Fault(REASON.subscriptionIds, "a subscription identifier");
    const parts: Buffer[] = [];
    const asked: AskedFilter[] = [];
    while (reader.left > 0) {
      const prefixed = reader.prefixed();
      const options = reader.byte();
      if ((options & 0xc0) !== 0) throw new Mqtt5Fault(REASON.malformed, "reserved subscription options");
      if ((options & 3) === 3 || (options & 0x30) === 0x30) {
        throw new Mqtt5Fault(REASON.protocol, "a QoS or retain handling of 3");
      }
      const topicFilter = prefixed.toString("utf8", 2);
      const refusal = refusalOf(topicFilter, options);
      const sent = refusal === undefined ? topicFilter : `${REFUSED}${asked.length}`;
      asked.push({ topicFilter, sent, refusal });
      parts.push(refusal === undefined ? prefixed : prefix(sent));
      parts.push(Buffer.of(Math.min(options & 3, this.#session.maxQos)));
      if (refusal === undefined) this.#session.subscribe(topicFilter, (options & 4) !== 0, options >> 4);
    }
    this.#session.subscribes.set(id.readUInt16BE(), asked);
    return encodePacket(first, id, ...parts);
  }

  /** 3.10 */
  #unsubscribe(first: number, reader: PacketReader): Buffer {
    const id = reader.bytes(2);
    readProperties(reader, P.UNSUBSCRIBE_PROPERTIES);
    const parts: Buffer[] = [];
    while (reader.left > 0) parts.push(reader.prefixed());
    this.#session.unsubscribes.set(
      id.readUInt16BE(),
      parts.map((part) => part.toString("utf8", 2)),
    );
    return encodePacket(first, id, ...parts);
  }

  /** 3.14: any reason but 0 leaves the will to be published, as if the connection were lost. */
  #disconnect(first: number, reader: PacketReader): Buffer | undefined {
    const reason = reader.left > 0 ? reader.byte() : REASON.success;
    if (reader.left > 0) readProperties(reader, P.DISCONNECT_PROPERTIES);
    this.#hasLeft = true;
    return reason === REASON.success ? encodePacket(first) : undefined;
  }
}

/** Text of at most 255 bytes, behind its length. */
function prefix(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(0, bytes.length), bytes]);
}

function long(value: number): number[] {
  return [value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff];
}

const RETAIN_AS_PUBLISHED = 8;

function refusalOf(topicFilter: string, options: number): number | undefined {
  if (topicFilter.startsWith("$share/")) return REASON.sharedSubscriptions;
  return (options & RETAIN_AS_PUBLISHED) !== 0 ? REASON.implementation : undefined;
}

/** 3.3 */
function publish(first: number, reader: PacketReader): Buffer {
  const topic = reader.prefixed();
  const id = (first & 6) === 0 ? Buffer.alloc(0) : reader.bytes(2);
  const properties = readProperties(reader, P.PUBLISH_PROPERTIES);
  if (properties.has(P.TOPIC_ALIAS)) throw new Mqtt5Fault(REASON.topicAlias, "a topic alias, of which none is offered");
  if (properties.has(P.SUBSCRIPTION_ID)) throw new Mqtt5Fault(REASON.protocol, "a subscription identifier to a hub");
  return encodePacket(first, topic, id, reader.bytes(reader.left));
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP (3.4 to 3.7) */
function acknowledgement(first: number, reader: PacketReader): Buffer {
  const id = reader.bytes(2);
  if (reader.left > 0) reader.byte();
  if (reader.left > 0) readProperties(reader, P.ACK_PROPERTIES);
  return encodePacket(first, id, reader.bytes(reader.left));
}
