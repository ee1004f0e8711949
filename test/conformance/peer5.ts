import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { packet, word, type Part } from "./packets.ts";

/** How long a broker may say nothing, ms: ends a case that hangs, decides none. */
const PATIENCE_MS = 40_000;
const NAMES: { [type: number]: string } = {
  2: "CONNACK",
  3: "PUBLISH",
  4: "PUBACK",
  5: "PUBREC",
  6: "PUBREL",
  7: "PUBCOMP",
};
const MORE_NAMES: { [type: number]: string } = { 9: "SUBACK", 11: "UNSUBACK", 13: "PINGRESP", 14: "DISCONNECT" };

/** Properties with their length before them: numbers are bytes. */
export function properties(...parts: Part[]): Buffer {
  const [, ...bytes] = packet(0, ...parts);
  return Buffer.from(bytes);
}
export const NONE = properties();

export interface Connect5 {
  id?: string;
  /** CONNECT's own. */
  with?: Buffer;
  will?: { topic: string; message: string; with?: Buffer };
  level?: number;
}

export function connect5({ id = "", with: own = NONE, will, level = 5 }: Connect5 = {}): Buffer {
  const willParts = will ? [will.with ?? NONE, will.topic, will.message] : [];
  return packet(0x10, "MQTT", level, 2 | (will ? 4 : 0), word(0), own, id, ...willParts);
}

export function subscribe5(id: number, ...filters: [topicFilter: string, options: number][]): Buffer {
  return packet(0x82, word(id), NONE, ...filters.flat());
}

export function publish5(topic: string, message: string, { qos = 0, retain = false, with: own = NONE } = {}): Buffer {
  return packet(
    0x30 | (qos << 1) | (retain ? 1 : 0),
    topic,
    qos === 0 ? Buffer.alloc(0) : word(7),
    own,
    Buffer.from(message),
  );
}

/** A raw connection of MQTT 5: sends any bytes, and reads packets as short texts. */
export class Peer5 {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => undefined;
  /** Properties of the last packet that had some, as they came. */
  lastProperties: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    socket.on("error", () => undefined);
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.#isClosed = true;
        this.#wake();
      });
    }
  }

  static async open(port: number): Promise<Peer5> {
    const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    const peer = new Peer5(socket);
    await once(socket, "connect");
    return peer;
  }

  send(...packets: Buffer[]): void {
    this.#socket.write(Buffer.concat(packets));
  }

  /** The next packet as text, or "closed". */
  async next(): Promise<string> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const taken = this.#take();
      if (taken !== undefined) return taken;
      if (this.#isClosed) return "closed";
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error("the broker says nothing");
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, leftMs);
      });
      clearTimeout(timer);
    }
  }

  async expect(...texts: string[]): Promise<void> {
    for (const text of texts) assert.equal(await this.next(), text);
  }

  #take(): string | undefined {
    let length = 0;
    let at = 1;
    for (let weight = 1; ; weight *= 128) {
      const byte = this.#bytes[at++];
      if (byte === undefined) return undefined;
      length += (byte & 0x7f) * weight;
      if (byte < 0x80) break;
    }
    if (this.#bytes.length < at + length) return undefined;
    const first = this.#bytes[0]!;
    const body = this.#bytes.subarray(at, at + length);
    this.#bytes = this.#bytes.subarray(at + length);
    return this.#describe(first, body);
  }

  #describe(first: number, body: Buffer): string {
    const type = first >> 4;
    const name = NAMES[type] ?? MORE_NAMES[type] ?? `type ${type}`;
    const code = (at: number): string => `0x${(body[at] ?? 0).toString(16)}`;
    switch (name) {
      case "CONNACK":
        this.lastProperties = body.subarray(3);
        return `${name} ${code(1)}`;
      case "PUBLISH": {
        const end = 2 + body.readUInt16BE();
        const from = end + ((first & 6) === 0 ? 0 : 2);
        this.lastProperties = body.subarray(from + 1, from + 1 + body[from]!);
        return `${name} q${(first >> 1) & 3}${(first & 1) === 0 ? "" : " retained"} ${String(body.subarray(2, end))} ${String(body.subarray(from + 1 + body[from]!))}`;
      }
      case "SUBACK":
      case "UNSUBACK": {
        const codes = [...body.subarray(3 + body[2]!)].map((byte) => `0x${byte.toString(16)}`);
        return `${name} ${codes.join(" ")}`;
      }
      case "DISCONNECT":
        return `${name} ${code(0)}`;
      case "PINGRESP":
        return name;
      default:
        return `${name} ${code(2)}`;
    }
  }

  end(): void {
    this.#socket.destroy();
  }
}
