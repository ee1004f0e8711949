/**
 * PUBLISH, MQTT 3.1.1 clause 3.3. Big-endian.
 *
 * | bytes | what                                                      |
 * | ----- | --------------------------------------------------------- |
 * | 1     | 0x30, QoS << 1, RETAIN 1 (DUP is 0: a first delivery)     |
 * | 1–4   | remaining length, 7 bits a byte, low bits first (2.2.3)   |
 * | 2 + n | topic name, UTF-8 with its length                         |
 * | 2     | packet identifier, QoS 1 and 2 only                       |
 * | rest  | payload                                                   |
 */
const PUBLISH = 0x30;
const RETAIN = 1;

export type DeliveryQoS = 0 | 1 | 2;

/** A whole QoS 0 PUBLISH: the same bytes for every subscriber, so it is made once for all of them. */
export function encodePublish(topic: string, payload: Uint8Array, retain: boolean): Buffer {
  const head = encodePublishHead(topic, payload.length, 0, retain, 0);
  return Buffer.concat([head, payload]);
}

/**
 * Everything before the payload. With QoS 1 and 2 it differs between subscribers, by the packet identifier.
 *
 * @param messageId 1–65,535; not used at QoS 0
 */
export function encodePublishHead(
  topic: string,
  payloadLength: number,
  qos: DeliveryQoS,
  retain: boolean,
  messageId: number,
): Buffer {
  const topicLength = Buffer.byteLength(topic);
  const remaining = 2 + topicLength + (qos > 0 ? 2 : 0) + payloadLength;
  const head = Buffer.allocUnsafe(1 + lengthBytes(remaining) + remaining - payloadLength);
  head[0] = PUBLISH | (qos << 1) | (retain ? RETAIN : 0);
  let at = writeRemainingLength(head, 1, remaining);
  at = head.writeUInt16BE(topicLength, at);
  at += head.write(topic, at);
  if (qos > 0) head.writeUInt16BE(messageId, at);
  return head;
}

function lengthBytes(remaining: number): number {
  if (remaining < 128) return 1;
  if (remaining < 16_384) return 2;
  return remaining < 2_097_152 ? 3 : 4;
}

function writeRemainingLength(head: Buffer, from: number, remaining: number): number {
  let at = from;
  let rest = remaining;
  do {
    const more = rest > 127 ? 0x80 : 0;
    head[at++] = (rest & 0x7f) | more;
    rest >>>= 7;
  } while (rest > 0);
  return at;
}
