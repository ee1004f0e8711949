import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { SocketPairs } from "../socket-pairs.ts";

const PUBLISH = 3;

/** A way to a hub on which acknowledgements to edges can be left out: the hub is there, and takes nothing as it seems. */
export class AckFilter {
  isDropping = false;
  /** Acknowledgements that came through. */
  passed = 0;
  dropped = 0;
  readonly #server: Server;
  readonly #pairs = new SocketPairs();

  private constructor(target: number) {
    this.#server = createServer((near) => this.#onConnection(near, connect(target, "127.0.0.1")));
  }

  static async to(target: number): Promise<AckFilter> {
    const filter = new AckFilter(target);
    filter.#server.listen(0, "127.0.0.1");
    await once(filter.#server, "listening");
    return filter;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #onConnection(near: Socket, far: Socket): void {
    this.#pairs.join(near, far);
    near.pipe(far);
    let waiting = Buffer.alloc(0);
    far.on("data", (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      for (let end = packetEnd(waiting); end !== undefined; end = packetEnd(waiting)) {
        const packet = waiting.subarray(0, end);
        waiting = waiting.subarray(end);
        if (this.#mayPass(packet)) near.write(packet);
      }
    });
  }

  #mayPass(packet: Buffer): boolean {
    if (packet[0]! >> 4 !== PUBLISH || !topicOf(packet).endsWith("/ack")) return true;
    if (this.isDropping) this.dropped++;
    else this.passed++;
    return !this.isDropping;
  }

  close(): void {
    this.#server.close();
    this.#pairs.destroy();
  }
}

/** Remaining length and where it ends, MQTT 3.1.1 2.2.3. */
function remainingLength(bytes: Buffer): { length: number; at: number } | undefined {
  let length = 0;
  for (let i = 1; i <= 4 && i < bytes.length; i++) {
    length += (bytes[i]! & 127) * 128 ** (i - 1);
    if (bytes[i]! < 128) return { length, at: i + 1 };
  }
  return undefined;
}

/** Where the first packet ends; undefined when it is not whole. */
function packetEnd(bytes: Buffer): number | undefined {
  const known = remainingLength(bytes);
  return known && known.at + known.length <= bytes.length ? known.at + known.length : undefined;
}

function topicOf(packet: Buffer): string {
  const { at } = remainingLength(packet)!;
  return packet.toString("utf8", at + 2, at + 2 + packet.readUInt16BE(at));
}
