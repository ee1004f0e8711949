import * as F from "./fields.ts";
import { CONNECT, DISCONNECT, firstByteFault, typeName } from "./packet-types.ts";
import { TextCheck, TOPIC_FILTER, TOPIC_NAME } from "./text-check.ts";

/** What can be wrong with a packet; the words are label values in `/metrics`. */
export const PACKET_FAULTS = [
  "not-connected",
  "second-connect",
  "type",
  "flags",
  "length",
  "too-large",
  "protocol",
  "version",
  "connect-flags",
  "client-id",
  "utf8",
  "topic",
  "filter",
  "levels",
  "topic-length",
  "packet-id",
  "qos",
] as const;
export type PacketFault = (typeof PACKET_FAULTS)[number];

const SENTENCES: { [fault in PacketFault]: string } = {
  "not-connected": "a packet before CONNECT",
  "second-connect": "a second CONNECT",
  type: "a packet that clients do not send",
  flags: "wrong flags in the first byte",
  length: "a length that does not fit the contents",
  "too-large": "a packet that is larger than the limit",
  protocol: "an unknown protocol",
  version: "a protocol version that is not offered",
  "connect-flags": "connect flags that contradict each other",
  "client-id": "no client id, which goes with a clean session only",
  utf8: "text that is not well-formed UTF-8 or has control characters",
  topic: "an empty topic name, or one with wildcards",
  filter: "an invalid topic filter",
  levels: "a topic with too many levels",
  "topic-length": "a topic or filter that is longer than the limit",
  "packet-id": "packet id 0",
  qos: "a QoS above 2",
};

/** CONNACK return codes (MQTT 3.1.1, 3.2.2.3). */
const UNACCEPTABLE_VERSION = 1;
const IDENTIFIER_REJECTED = 2;

/** Names of the protocol by their length, and the level that goes with each; MQTT 3.1 is MQIsdp 3. */
const PROTOCOLS: { [length: number]: { name: string; level: number } | undefined } = {
  4: { name: "MQTT", level: 4 },
  6: { name: "MQIsdp", level: 3 },
};
/** Mosquitto's bridges set this bit of the level, to get their own messages not back. */
const BRIDGE_BIT = 0x80;

/** Where in a packet the next byte lies. */
const IN_TYPE = 0;
const IN_REMAINING_LENGTH = 1;
const IN_BYTE = 2;
const IN_WORD_HIGH = 3;
const IN_WORD_LOW = 4;
const IN_TEXT = 5;
const IN_BYTES = 6;
const OVER = 7;

export interface TopicBounds {
  maxTopicLevels?: number;
  maxTopicBytes?: number;
}

/**
 * Checks what a client sends against MQTT 3.1.1 before the broker sees it, byte by byte as it comes.
 *
 *     type ─► remaining length ─► field ─► field ─► … ─► end        fields and their order: fields.ts
 *
 * Nothing is kept of a packet but where in it the next byte lies: payloads are stepped over. A packet at fault never
 * becomes whole for the broker behind, for its last byte is not handed on.
 */
export class PacketCheck {
  /** Largest packet in bytes, fixed header not counted. May change at any time. */
  maxPacketBytes: number;
  /** Bytes seen. */
  receivedBytes = 0;
  readonly #text: TextCheck;
  readonly #maxTopicBytes: number;
  #fault: PacketFault | undefined;
  #connackCode = 0;
  #step = IN_TYPE;
  #type = 0;
  #qos = 0;
  #isConnected = false;
  /** What the next byte of the remaining length counts for (2.2.3). */
  #weight = 1;
  /** Bytes of this packet still to come, once its length is known. */
  #left = 0;
  #field = F.END;
  /** The number being read: a value, or the length of text or bytes; then what is left of these. */
  #word = 0;
  #wordIsLength = false;
  #connectFlags = 0;
  #protocol: { name: string; level: number } | undefined;
  #hasClientId = false;

  /**
   * @param maxPacketBytes see the field
   * @param topics how long topics and filters may be. Default: as long as the standard and the broker take them
   */
  constructor(maxPacketBytes: number, topics: TopicBounds = {}) {
    this.maxPacketBytes = maxPacketBytes;
    this.#text = new TextCheck(topics.maxTopicLevels);
    this.#maxTopicBytes = topics.maxTopicBytes ?? 65_535;
  }

  /** What was wrong; undefined while nothing is. Nothing more is handed on afterwards. */
  get fault(): PacketFault | undefined {
    return this.#fault;
  }

  /** The same as a sentence, with the name of the packet. */
  get complaint(): string {
    return this.#fault === undefined ? "" : `${typeName(this.#type)}: ${SENTENCES[this.#fault]}`;
  }

  /** With which return code a CONNECT at fault is to be answered; 0: not at all. */
  get connackCode(): number {
    return this.#connackCode;
  }

  /**
   * Looks at the next bytes and says how many of them may be handed on: all, unless there was a fault or a DISCONNECT,
   * after which nothing counts.
   */
  take(chunk: Uint8Array): number {
    this.receivedBytes += chunk.length;
    let at = 0;
    let packetAt = 0;
    while (at < chunk.length) {
      switch (this.#step) {
        case IN_TYPE:
          packetAt = at;
          this.#takeType(chunk[at++]!);
          break;
        case IN_REMAINING_LENGTH:
          this.#takeLengthByte(chunk[at++]!);
          break;
        case IN_WORD_HIGH:
          this.#word = chunk[at++]! << 8;
          this.#left--;
          this.#step = IN_WORD_LOW;
          break;
        case IN_WORD_LOW:
          this.#word |= chunk[at++]!;
          this.#left--;
          this.#takeWord();
          break;
        case IN_BYTE:
          this.#left--;
          this.#takeByte(chunk[at++]!);
          break;
        case IN_TEXT:
        case IN_BYTES:
          at = this.#takeContents(chunk, at);
          break;
        default:
          return this.#fault === undefined ? at : packetAt;
      }
    }
    return this.#fault === undefined ? at : packetAt;
  }

  #fail(fault: PacketFault, connackCode = 0): void {
    this.#fault = fault;
    this.#connackCode = connackCode;
    this.#step = OVER;
  }

  #takeType(byte: number): void {
    this.#type = byte >> 4;
    const fault = firstByteFault(byte);
    if (fault !== undefined) this.#fail(fault);
    else if (this.#type === CONNECT && this.#isConnected)
      this.#fail("second-connect"); // [MQTT-3.1.0-2]
    else if (this.#type !== CONNECT && !this.#isConnected)
      this.#fail("not-connected"); // [MQTT-3.1.0-1]
    else {
      this.#qos = (byte >> 1) & 3;
      this.#left = 0;
      this.#weight = 1;
      this.#step = IN_REMAINING_LENGTH;
    }
  }

  #takeLengthByte(byte: number): void {
    this.#left += (byte & 0x7f) * this.#weight;
    // The length has to be judged where it is announced: the parser behind collects a packet until it is whole.
    if (this.#left > this.maxPacketBytes) this.#fail("too-large");
    else if ((byte & 0x80) === 0) this.#begin(F.firstField(this.#type));
    else {
      this.#weight *= 128;
      if (this.#weight > 2 ** 21) this.#fail("length"); // four bytes at most
    }
  }

  #begin(field: number): void {
    this.#field = field;
    switch (F.SHAPES[field]) {
      case F.NOTHING:
        this.#end();
        break;
      case F.REST:
        this.#word = this.#left;
        if (this.#word === 0) this.#end();
        else this.#step = IN_BYTES;
        break;
      case F.BYTE:
        if (this.#left < 1) this.#fail("length");
        else this.#step = IN_BYTE;
        break;
      case F.WORD:
        this.#wordIsLength = false;
        if (this.#left < 2) this.#fail("length");
        else this.#step = IN_WORD_HIGH;
        break;
      default:
        this.#wordIsLength = true;
        if (this.#left < 2) this.#fail("length");
        else this.#step = IN_WORD_HIGH;
    }
  }

  #end(): void {
    if (this.#left > 0) {
      this.#fail("length");
      return;
    }
    this.#step = this.#type === DISCONNECT ? OVER : IN_TYPE;
    if (this.#type !== CONNECT) return;
    // [MQTT-3.1.3-8]; MQTT 3.1 has no empty client ids at all.
    const mayBeEmpty = (this.#connectFlags & F.FLAG_CLEAN) !== 0 && this.#protocol?.level === 4;
    if (!this.#hasClientId && !mayBeEmpty) this.#fail("client-id", IDENTIFIER_REJECTED);
    else this.#isConnected = true;
  }

  #takeByte(byte: number): void {
    switch (this.#field) {
      case F.PROTOCOL_LEVEL:
        // [MQTT-3.1.2-2]
        if ((byte & ~BRIDGE_BIT) !== this.#protocol?.level) this.#fail("version", UNACCEPTABLE_VERSION);
        else this.#begin(F.CONNECT_FLAGS);
        break;
      case F.CONNECT_FLAGS:
        this.#connectFlags = byte;
        if (!F.connectFlagsAreValid(byte)) this.#fail("connect-flags");
        else this.#begin(F.KEEPALIVE);
        break;
      default:
        if (byte > 2)
          this.#fail("qos"); // [MQTT-3-8.3-4]
        else this.#begin(this.#left > 0 ? F.WANTED_FILTER : F.END);
    }
  }

  #takeWord(): void {
    if (this.#wordIsLength) {
      this.#beginContents();
      return;
    }
    if (this.#field === F.KEEPALIVE) {
      this.#begin(F.CLIENT_ID);
      return;
    }
    if (this.#word === 0) {
      this.#fail("packet-id"); // [MQTT-2.3.1-1]
      return;
    }
    switch (this.#field) {
      case F.PUBLISH_ID:
        this.#begin(F.PAYLOAD);
        break;
      case F.SUBSCRIBE_ID:
        this.#begin(F.WANTED_FILTER); // at least one: [MQTT-3.8.3-3]
        break;
      case F.UNSUBSCRIBE_ID:
        this.#begin(F.UNWANTED_FILTER); // [MQTT-3.10.3-2]
        break;
      default:
        this.#begin(F.END);
    }
  }

  /** The length of text or bytes is known. */
  #beginContents(): void {
    const kind = F.textKindOf(this.#field);
    if (this.#word > this.#left) this.#fail("length");
    else if (this.#field === F.PROTOCOL_NAME) {
      this.#protocol = PROTOCOLS[this.#word];
      if (!this.#protocol) this.#fail("protocol");
      else this.#step = IN_BYTES;
    } else if (this.#word === 0) {
      // [MQTT-4.7.3-1]
      if (kind === TOPIC_NAME) this.#fail("topic");
      else if (kind === TOPIC_FILTER) this.#fail("filter");
      else this.#endContents();
    } else if (this.#word > this.#maxTopicBytes && (kind === TOPIC_NAME || kind === TOPIC_FILTER)) {
      this.#fail("topic-length");
    } else if (F.SHAPES[this.#field] === F.TEXT) {
      this.#text.begin(kind);
      this.#step = IN_TEXT;
    } else this.#step = IN_BYTES;
  }

  /** Looks at, or steps over, as much of text or bytes as is there; returns where the next byte lies. */
  #takeContents(chunk: Uint8Array, from: number): number {
    const to = Math.min(from + this.#word, chunk.length);
    if (this.#step === IN_TEXT) {
      const fault = this.#text.take(chunk, from, to) ?? (to - from === this.#word ? this.#text.end() : undefined);
      if (fault !== undefined) {
        this.#fail(fault);
        return to;
      }
    } else if (this.#field === F.PROTOCOL_NAME && !this.#isProtocolName(chunk, from, to)) {
      this.#fail("protocol"); // [MQTT-3.1.2-1]
      return to;
    }
    this.#word -= to - from;
    this.#left -= to - from;
    if (this.#field === F.CLIENT_ID) this.#hasClientId = true;
    if (this.#word === 0) this.#endContents();
    return to;
  }

  #isProtocolName(chunk: Uint8Array, from: number, to: number): boolean {
    const name = this.#protocol!.name;
    const offset = name.length - this.#word - from;
    for (let at = from; at < to; at++) if (chunk[at] !== name.charCodeAt(offset + at)) return false;
    return true;
  }

  #endContents(): void {
    switch (this.#field) {
      case F.PROTOCOL_NAME:
        this.#begin(F.PROTOCOL_LEVEL);
        break;
      case F.TOPIC:
        this.#begin(this.#qos > 0 ? F.PUBLISH_ID : F.PAYLOAD);
        break;
      case F.PAYLOAD:
        this.#begin(F.END);
        break;
      case F.WANTED_FILTER:
        this.#begin(F.WANTED_QOS);
        break;
      case F.UNWANTED_FILTER:
        this.#begin(this.#left > 0 ? F.UNWANTED_FILTER : F.END);
        break;
      default:
        this.#begin(F.nextConnectField(this.#field, this.#connectFlags));
    }
  }
}
