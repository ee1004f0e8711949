import { loadNativeAddon } from "./drivers/native-addon.ts";

/**
 * Sends one datagram to a UNIX socket, as a service manager listens on (sd_notify(3)); never waits. Node has no such
 * sockets.
 *
 * @param socket path, or a name in the abstract namespace behind `@`
 * @returns name of the error (`ECONNREFUSED`, `EAGAIN`, …), or nothing
 * @throws CanfleetError `CAN_NO_DRIVER` where the native addon was not built
 */
export function sendDatagram(socket: string, text: string): string {
  return loadNativeAddon().notify(socket, text);
}
