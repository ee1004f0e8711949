import type { Socket } from "node:net";

/** The connections of a proxy: both ends of one end together, an end's error is its end, and all can be ended at once. */
export class SocketPairs {
  readonly #sockets = new Set<Socket>();

  /** Follows a socket that may have no other end yet. */
  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  /** Follows two ends, at least one of them new, and ends each with the other. What goes between them is the caller's. */
  join(near: Socket, far: Socket): void {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      if (!this.#sockets.has(socket)) this.add(socket);
      socket.on("close", () => other.destroy());
    }
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
