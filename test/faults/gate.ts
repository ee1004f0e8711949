import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { SocketPairs } from "../socket-pairs.ts";

/** A way to a port of this machine that can be shut: whoever goes through it finds nobody there, all others do. */
export class Gate {
  readonly #pairs = new SocketPairs();
  readonly #target: number;
  #server: Server | undefined;
  #port = 0;

  private constructor(target: number) {
    this.#target = target;
  }

  static async to(port: number): Promise<Gate> {
    const gate = new Gate(port);
    await gate.open();
    return gate;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  #onConnection(near: Socket): void {
    const far = connect(this.#target, "127.0.0.1");
    this.#pairs.join(near, far);
    near.pipe(far);
    far.pipe(near);
  }

  /** Cuts all connections and lets no more through. */
  shut(): void {
    this.#server?.close();
    this.#pairs.destroy();
  }

  /** Lets connections through again. */
  async open(): Promise<void> {
    this.#server = createServer((near) => this.#onConnection(near)).listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }
}
