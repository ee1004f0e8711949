import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface MqttPeerOptions {
  clientId: string;
  /** MQTT's clean session. Default true. */
  clean?: boolean;
  filter: string;
  qos: 0 | 1;
  /** What the broker publishes at QoS 1 when this client is gone without a word; at most 60 bytes in all. */
  will?: { topic: string; payload: Uint8Array };
}

const KEEPALIVE_SECONDS = 60;
const PINGREQ = Uint8Array.of(0xc0, 0);
const SLICE_MS = 50;

/** An MQTT 3.1.1 client that reads as fast or as slowly as it is told, which no library does. */
export class MqttPeer {
  isClosed = false;
  /** Numbers (u32) at the front of the payloads of each message at QoS 1, in order. */
  readonly numbers: number[] = [];
  readonly #socket: Socket;
  readonly #ping: NodeJS.Timeout;
  #rest = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => (this.isClosed = true));
    this.#ping = setInterval(() => socket.write(PINGREQ), (KEEPALIVE_SECONDS * 1_000) / 3);
  }

  /** Connects and subscribes; nothing is read yet. */
  static async connect(port: number, options: MqttPeerOptions): Promise<MqttPeer> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const { will, clean = true } = options;
    // Clean session 2, will 4, its QoS 1 8 (MQTT 3.1.1, 3.1.2.3).
    const flags = (clean ? 2 : 0) | (will ? 12 : 0);
    const head = Uint8Array.of(...text("MQTT"), 4, flags, 0, KEEPALIVE_SECONDS);
    const ending = will ? [...text(will.topic), 0, will.payload.length, ...will.payload] : [];
    socket.write(packet(0x10, Uint8Array.of(...head, ...text(options.clientId), ...ending)));
    socket.write(packet(0x82, Uint8Array.of(0, 1, ...text(options.filter), options.qos)));
    return new MqttPeer(socket);
  }

  /** Reads at this rate, bytes/s, until the connection ends. Looks at nothing. */
  async trickle(bytesPerSecond: number): Promise<void> {
    let owed = 0;
    let beforeMs = performance.now();
    while (!this.isClosed) {
      await sleep(SLICE_MS);
      const nowMs = performance.now();
      owed = Math.min(bytesPerSecond, owed + ((nowMs - beforeMs) * bytesPerSecond) / 1000);
      beforeMs = nowMs;
      this.#socket.read(0);
      const bytes = Math.min(Math.floor(owed), this.#socket.readableLength);
      if (bytes > 0 && this.#socket.read(bytes) !== null) owed -= bytes;
    }
  }

  /** Reads everything from now on, and acknowledges. */
  readAll(): void {
    this.#socket.on("data", (chunk) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      for (let size = this.#nextSize(); size !== undefined; size = this.#nextSize()) {
        this.#take(this.#rest.subarray(0, size));
        this.#rest = this.#rest.subarray(size);
      }
    });
  }

  /** Bytes of the next packet when all of it is there. */
  #nextSize(): number | undefined {
    const [length, at] = remainingLength(this.#rest);
    return at > 0 && this.#rest.length >= at + length ? at + length : undefined;
  }

  #take(bytes: Buffer): void {
    if (bytes[0]! >> 4 !== 3 || (bytes[0]! & 6) !== 2) return;
    const [, at] = remainingLength(bytes);
    const id = at + 2 + bytes.readUInt16BE(at);
    this.numbers.push(bytes.readUInt32BE(id + 2));
    this.#socket.write(Uint8Array.of(0x40, 2, bytes[id]!, bytes[id + 1]!));
  }

  /** Goes without a word. */
  close(): void {
    clearInterval(this.#ping);
    this.#socket.destroy();
  }
}

function text(value: string): number[] {
  const bytes = Buffer.from(value);
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes];
}

/** Packets of up to 127 bytes only: what this client says is short. */
function packet(head: number, body: Uint8Array): Uint8Array {
  return Uint8Array.of(head, body.length, ...body);
}

/** MQTT 3.1.1, 2.2.3. @returns the length and where the rest begins; 0 while bytes are missing */
function remainingLength(bytes: Buffer): [length: number, at: number] {
  let length = 0;
  for (let at = 1; at < Math.min(bytes.length, 5); at++) {
    length += (bytes[at]! & 0x7f) << (7 * (at - 1));
    if (bytes[at]! < 0x80) return [length, at + 1];
  }
  return [0, 0];
}
