import type { Socket } from "node:net";

/** What a peer gets to read the last words, ms. */
const READ_MS = 1000;

/**
 * Ends a connection, with something for the other end to read before: bytes that nobody reads would make the kernel
 * reset it and throw that away.
 */
export function sayLastly(socket: Socket, words: Uint8Array | undefined): void {
  // Whatever happens to it now, somebody has been told already.
  socket.on("error", () => undefined);
  if (socket.destroyed || words === undefined) {
    socket.destroy();
    return;
  }
  const giveUp = setTimeout(() => socket.destroy(), READ_MS);
  socket.once("close", () => clearTimeout(giveUp));
  socket.end(words);
  socket.resume();
}
