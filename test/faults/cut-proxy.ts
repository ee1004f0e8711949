import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A link that can be cut: TCP connections to its port go on to another one of this machine, or nowhere. */
export class CutProxy {
  isCut = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.#server = createServer((near) => {
      this.#track(near);
      if (this.isCut) {
        near.destroy();
        return;
      }
      const far = connect(target, "127.0.0.1");
      this.#track(far);
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
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

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  /** Ends every connection at once, whatever is on its way; new ones end at once too, until `mend`. */
  cut(): void {
    this.isCut = true;
    for (const socket of this.#sockets) socket.destroy();
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
