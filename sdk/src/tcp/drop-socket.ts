import type { Socket } from "node:net";

/**
 * Ends a connection at once and throws away what the kernel still holds of it. Otherwise the kernel would go on trying to
 * deliver that, and it would come out, stale, once the way is back.
 */
export function dropSocket(socket: Socket): void {
  // An encrypted connection cannot be reset by Node.
  if ("encrypted" in socket) socket.destroy();
  else socket.resetAndDestroy();
}
