import { PUBACK, PUBLISH } from "../mqtt/packet-types.ts";
import { encodePacket, encodeVarint, REASON } from "./properties.ts";
import type { Mqtt5Session } from "./session.ts";

const CONNACK = 2;
const SUBACK = 9;
const UNSUBACK = 11;
const NO_PROPERTIES = Buffer.of(0);
/** CONNACK's return codes (MQTT 3.1.1, 3.2.2.3) as reason codes. */
const CONNACK_REASONS = [
  REASON.success,
  REASON.version,
  REASON.clientId,
  REASON.unavailable,
  REASON.credentials,
  REASON.notAuthorized,
];

const IN_HEADER = 0;
const IN_PUBLISH_HEAD = 1;
const IN_PAYLOAD = 2;
const IN_SMALL = 3;

/**
 * What the broker writes for a client of 3.1.1, in pieces of any size, as MQTT 5:
 *
 *     PUBLISH   topic, id │ payload   →   topic, id, 0 (no properties) │ payload, which is not looked at
 *     others    small: gathered, and written anew
 */
export class Outbound {
  /** A CONNACK has said yes. */
  isConnected = false;
  readonly #session: Mqtt5Session;
  readonly #write: (bytes: Uint8Array) => void;
  #step = IN_HEADER;
  /** What of the packet has been gathered. */
  #head = Buffer.alloc(0);
  #first = 0;
  /** Bytes of the packet still to come, behind what was gathered. */
  #left = 0;
  #isSkipped = false;

  constructor(session: Mqtt5Session, write: (bytes: Uint8Array) => void) {
    this.#session = session;
    this.#write = write;
  }

  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#step === IN_PAYLOAD) {
        const to = Math.min(chunk.length, at + this.#left);
        if (!this.#isSkipped) this.#write(chunk.subarray(at, to));
        this.#left -= to - at;
        at = to;
        if (this.#left === 0) this.#step = IN_HEADER;
      } else at = this.#gather(chunk, at);
    }
  }

  /** Takes the next byte, or as many as the step needs; returns where the next one lies. */
  #gather(chunk: Buffer, at: number): number {
    const wanted = this.#wanted();
    const to = Math.min(chunk.length, at + wanted);
    this.#head = Buffer.concat([this.#head, chunk.subarray(at, to)]);
    if (this.#step !== IN_HEADER) this.#left -= to - at;
    if (to - at < wanted) return to;
    if (this.#step === IN_HEADER) this.#endHeader();
    else if (this.#step === IN_SMALL) this.#endSmall();
    else if (this.#head.length > 2) this.#endPublishHead();
    return to;
  }

  #wanted(): number {
    if (this.#step === IN_HEADER) return 1;
    if (this.#step === IN_SMALL) return this.#left;
    if (this.#head.length < 2) return 2 - this.#head.length;
    return this.#publishHeadLength() - this.#head.length;
  }

  #publishHeadLength(): number {
    return 2 + this.#head.readUInt16BE() + ((this.#first & 6) === 0 ? 0 : 2);
  }

  #endHeader(): void {
    const last = this.#head.at(-1)!;
    if (this.#head.length === 1 || last >= 0x80) return;
    this.#first = this.#head[0]!;
    this.#left = this.#head.subarray(1).reduce((sum, byte, i) => sum + (byte & 0x7f) * 128 ** i, 0);
    this.#head = Buffer.alloc(0);
    if (this.#first >> 4 === PUBLISH) this.#step = IN_PUBLISH_HEAD;
    else if (this.#left > 0) this.#step = IN_SMALL;
    else this.#endSmall();
  }

  #endPublishHead(): void {
    const length = encodeVarint(this.#head.length + 1 + this.#left);
    const total = 1 + length.length + this.#head.length + 1 + this.#left;
    // [MQTT-3.1.2-25]: as if it had been sent.
    this.#isSkipped = total > this.#session.maxPacketBytes;
    if (!this.#isSkipped) this.#write(Buffer.concat([Buffer.of(this.#first), length, this.#head, NO_PROPERTIES]));
    this.#head = Buffer.alloc(0);
    this.#step = this.#left > 0 ? IN_PAYLOAD : IN_HEADER;
  }

  #endSmall(): void {
    this.#write(this.#translate(this.#first >> 4, this.#head));
    this.#head = Buffer.alloc(0);
    this.#step = IN_HEADER;
  }

  #translate(type: number, body: Buffer): Buffer {
    const id = body.subarray(0, 2);
    switch (type) {
      case CONNACK:
        return this.#connack(body[1] ?? 0);
      case SUBACK:
        return encodePacket(this.#first, id, NO_PROPERTIES, this.#subscribed(id.readUInt16BE(), body.subarray(2)));
      case UNSUBACK:
        return encodePacket(this.#first, id, NO_PROPERTIES, this.#unsubscribed(id.readUInt16BE()));
      case PUBACK: {
        const reason = this.#session.refusedPublishes.get(id.readUInt16BE());
        this.#session.refusedPublishes.delete(id.readUInt16BE());
        return encodePacket(this.#first, id, reason === undefined ? Buffer.alloc(0) : Buffer.of(reason));
      }
      default:
        // Without a reason code all is well, in MQTT 5 too.
        return encodePacket(this.#first, body);
    }
  }

  #connack(code: number): Buffer {
    const reason = CONNACK_REASONS[code] ?? REASON.unspecified;
    if (reason !== REASON.success) return encodePacket(this.#first, Buffer.of(0, reason, 0));
    this.isConnected = true;
    const { connackProperties } = this.#session;
    return encodePacket(this.#first, Buffer.of(0, reason), encodeVarint(connackProperties.length), connackProperties);
  }

  #subscribed(id: number, granted: Buffer): Buffer {
    const asked = this.#session.subscribes.get(id) ?? [];
    this.#session.subscribes.delete(id);
    // The broker answers once to a filter that was named twice.
    const answered = [...new Set(asked.map(({ sent }) => sent))];
    const codes = asked.map(({ topicFilter, sent, refusal }) => {
      const code = granted[answered.indexOf(sent)] ?? REASON.unspecified;
      if (code < 0x80) return code;
      // What was refused here was never noted as a subscription.
      if (refusal === undefined) this.#session.options.delete(topicFilter);
      return refusal ?? REASON.notAuthorized;
    });
    return Buffer.from(codes);
  }

  #unsubscribed(id: number): Buffer {
    const filters = this.#session.unsubscribes.get(id) ?? [];
    this.#session.unsubscribes.delete(id);
    const known = filters.map((topicFilter) => this.#session.options.delete(topicFilter));
    return Buffer.from(known.map((was) => (was ? REASON.success : REASON.noSubscription)));
  }
}
