import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { SocketPairs } from "../socket-pairs.ts";

/**
 * One address of this machine for a container whose published port is another after each start and each way back to its
 * network: whoever connects to the door is taken to the port that it has now.
 */
export class Door {
  readonly #server: Server;
  readonly #pairs = new SocketPairs();

  private constructor(port: () => Promise<number | undefined>) {
    this.#server = createServer((near) => void this.#lead(near, port));
  }

  /** @param port port on 127.0.0.1 to lead to; undefined: nobody is there now */
  static async open(port: () => Promise<number | undefined>): Promise<Door> {
    const door = new Door(port);
    door.#server.listen(0, "127.0.0.1");
    await once(door.#server, "listening");
    return door;
  }

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #lead(near: Socket, port: () => Promise<number | undefined>): Promise<void> {
    this.#pairs.add(near);
    const target = await port().catch(() => undefined);
    if (target === undefined || near.destroyed) {
      near.destroy();
      return;
    }
    const far = connect(target, "127.0.0.1");
    this.#pairs.join(near, far);
    near.pipe(far);
    far.pipe(near);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#pairs.destroy();
    await once(this.#server, "close");
  }
}
