import { PUBLISH } from "./packet-types.ts";

/** A PUBLISH at QoS 0 without RETAIN: what nearly all traffic is, and what nothing has to be kept of or answered. */
const PLAIN_PUBLISH = PUBLISH << 4;
/** Type, and at most four bytes of remaining length (MQTT 3.1.1, 2.2). */
const MAX_FIXED_HEADER_BYTES = 5;

/** What is asked of, and told to, the broker behind the shortcut. */
export interface SlowPath {
  /** Whether messages may be published for this client now: it is connected, and nothing of it is in work. */
  readonly isIdle: boolean;
  /** A packet more is handed on. */
  began(): void;
  /** Something came that is not handed on. */
  heard(): void;
}

/**
 * Takes plain publishes out of what a client sends, before the broker, whose way for them is the long one of messages
 * that are stored and acknowledged.
 *
 *     checked bytes ─► plain PUBLISH ─► publish() at once
 *                  └─► anything else, and what follows it until the broker is done with it ─► the broker
 *
 * So the order in which a client sends is the order in which things happen. A plain PUBLISH is held until it is whole;
 * how large that can become is the packet check's to say, which comes before.
 */
export class PublishShortcut {
  readonly #broker: SlowPath;
  readonly #publish: (packet: Buffer, topicAt: number) => void;
  /** Beginning of a packet that is not whole, and how long all of it has to be before it is looked at again. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #wantedBytes = 0;
  /** Bytes still to come of a packet that the broker has the beginning of. */
  #brokersBytes = 0;

  /**
   * @param publish takes one whole packet and where in it the length of the topic lies. The bytes are those of a chunk:
   * what is kept has to be copied
   */
  constructor(broker: SlowPath, publish: (packet: Buffer, topicAt: number) => void) {
    this.#broker = broker;
    this.#publish = publish;
  }

  /** @param chunk checked bytes; returns those that are the broker's, or null */
  take(chunk: Buffer): Buffer | null {
    const data = this.#join(chunk);
    if (!data) return null;
    let at = Math.min(this.#brokersBytes, data.length);
    this.#brokersBytes -= at;
    let isOpen = at === 0 && this.#broker.isIdle;
    let publishedTo = 0;
    while (at < data.length) {
      const total = packetBytes(data, at);
      const isWhole = total > 0 && at + total <= data.length;
      if (data[at] === PLAIN_PUBLISH || total === 0) {
        if (!isWhole) {
          this.#hold(data.subarray(at), total);
          break;
        }
        if (isOpen) {
          publishedTo = at + total;
          this.#publish(data.subarray(at, publishedTo), topicOffset(data, at));
        } else this.#broker.began();
      } else {
        isOpen = false;
        this.#broker.began();
        if (!isWhole) this.#brokersBytes = at + total - data.length;
      }
      at = Math.min(at + total, data.length);
    }
    if (publishedTo > 0) this.#broker.heard();
    return at === publishedTo ? null : data.subarray(publishedTo, at);
  }

  #hold(beginning: Buffer, totalBytes: number): void {
    this.#held = [beginning];
    this.#heldBytes = beginning.length;
    this.#wantedBytes = totalBytes === 0 ? beginning.length + 1 : totalBytes;
  }

  /** What is held and the chunk in one, or undefined while that would not be a whole packet. */
  #join(chunk: Buffer): Buffer | undefined {
    if (this.#held.length === 0) return chunk;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#wantedBytes) return undefined;
    const joined = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    return joined;
  }
}

/** Length of the packet that begins here, fixed header included; 0 while that cannot be told. */
function packetBytes(data: Buffer, at: number): number {
  let remaining = 0;
  for (let i = 1; i < MAX_FIXED_HEADER_BYTES && at + i < data.length; i++) {
    const byte = data[at + i]!;
    remaining += (byte & 0x7f) * 128 ** (i - 1);
    if ((byte & 0x80) === 0) return 1 + i + remaining;
  }
  return 0;
}

/** Length of the fixed header of a packet that has it whole. */
function topicOffset(data: Buffer, at: number): number {
  let length = 2;
  while ((data[at + length - 1]! & 0x80) !== 0) length++;
  return length;
}
