import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { SocketPairs } from "../socket-pairs.ts";

/** A link that can be cut: TCP connections to its port go on to another one of this machine, or nowhere. */
export class CutProxy {
  isCut = false;
  readonly #server: Server;
  readonly #pairs = new SocketPairs();

  private constructor(target: number) {
    this.#server = createServer((near) => {
      this.#pairs.add(near);
      if (this.isCut) {
        near.destroy();
        return;
      }
      const far = connect(target, "127.0.0.1");
      this.#pairs.join(near, far);
      near.pipe(far);
      far.pipe(near);
    });
  }

  static async start(target: number): Promise<CutProxy> {
    const proxy = new CutProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection at once, whatever is on its way; new ones end at once too, until `mend`. */
  cut(): void {
    this.isCut = true;
    this.#pairs.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
