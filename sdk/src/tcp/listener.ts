import { BlockList, createServer, isIP, type AddressInfo, type Server, type Socket } from "node:net";
import { CanfleetError, messageOf } from "../errors.ts";
import { LinkDoor, plainAddress } from "./link-door.ts";
import type { LinkRole } from "./link-proof.ts";
import { assertLinkSecurity, type LinkPeer, type LinkSecurity } from "./link-security.ts";
import { KEEP_ALIVE_DELAY_MS, type LinkTiming } from "./link-timing.ts";

export { plainAddress } from "./link-door.ts";

export interface ListenerOptions extends LinkSecurity {
  port: number;
  /** This end's, which says who speaks first. */
  role: LinkRole;
  timing: LinkTiming;
  /** Address to listen on. Default: all of this machine. */
  hostname?: string | undefined;
  /** Addresses and networks that may connect, `192.168.1.5` or `10.0.0.0/8`. Default: all. */
  allow?: readonly string[] | undefined;
  /** A connection that has shown all that was asked of it. */
  onPeer: (peer: LinkPeer) => void;
  /** A connection was not taken. `reason` is for people. */
  onRefused: (address: string, reason: string) => void;
}

/** Takes connections on one port, from the addresses that may and from those who show what is asked. */
export class LinkListener {
  readonly #options: ListenerOptions;
  readonly #allowed: BlockList | undefined;
  readonly #server: Server;
  readonly #door: LinkDoor;

  /**
   * @throws RangeError naming the part of `allow` that is no address
   * @throws CanfleetError `CONFIG_INVALID` for certificates or a token that cannot be used
   */
  constructor(options: ListenerOptions) {
    this.#options = options;
    assertLinkSecurity(options, true);
    this.#allowed = options.allow && parseAddressList(options.allow);
    const { role, tls, token, timing, onPeer, onRefused } = options;
    this.#door = new LinkDoor({ role, tls, token, handshakeMs: timing.handshakeMs, onPeer, onRefused });
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      (socket) => this.#take(socket),
    );
  }

  /** The port, also when it was asked for as 0. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  /** @throws CanfleetError `LINK_PORT_IN_USE`; `CONFIG_INVALID` when this machine has no such address */
  listen(): Promise<void> {
    const { port, hostname } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, port, hostname)));
      this.#server.listen({ port, ...(hostname === undefined ? {} : { host: hostname }) }, () => {
        this.#server.removeAllListeners("error");
        // Accepting can fail later, for want of descriptors; the listener itself goes on.
        this.#server.on("error", (error) => this.#options.onRefused("a peer", messageOf(error)));
        resolve();
      });
    });
  }

  #take(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? "");
    if (this.#allowed && !this.#allowed.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) {
      socket.destroy();
      this.#options.onRefused(address, "its address is not allowed");
      return;
    }
    this.#door.take(socket, address);
  }

  /** Takes no more connections, and ends those on their way in; those that were taken stay. */
  close(): void {
    this.#server.close();
    this.#door.close();
  }
}

/**
 * Reads addresses and networks such as `192.168.1.20`, `10.0.0.0/8`, `fd00::/8`.
 *
 * @throws RangeError naming the part that is none
 */
export function parseAddressList(allow: readonly string[]): BlockList {
  const list = new BlockList();
  for (const part of allow) {
    const [address = "", prefix] = part.split("/");
    const version = isIP(address);
    const bits = prefix === undefined ? NaN : Number(prefix);
    const isPrefix = /^\d+$/.test(prefix ?? "0") && !(bits > (version === 6 ? 128 : 32));
    if (version === 0 || !isPrefix)
      throw new RangeError(`allow: "${part}" is no address or network such as 10.0.0.0/8`);
    const family = version === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, bits, family);
  }
  return list;
}

function listenError(error: NodeJS.ErrnoException, port: number, hostname = "all addresses"): CanfleetError {
  if (error.code === "EADDRINUSE") {
    return new CanfleetError("LINK_PORT_IN_USE", `another program listens on port ${port} of ${hostname}`, {
      cause: error,
      retryable: true,
    });
  }
  return new CanfleetError("CONFIG_INVALID", `cannot listen on port ${port} of ${hostname}: ${error.message}`, {
    cause: error,
  });
}
