import { isIPv6, type BlockList, type Socket } from "node:net";
import { peerAddress } from "./access/connection-credentials.ts";
import { LogLimit } from "./access/log-limit.ts";
import { networkOf } from "./access/login-throttle.ts";
import { addressListOf, type HubLimits } from "./limits.ts";
import type { HubLog } from "./log.ts";

/** Why a connection was cut or not let in; the words are label values in `/metrics`. */
export const CUT_REASONS = [
  "total",
  "address",
  "made-room",
  "connect-timeout",
  "tls-handshake",
  "http-timeout",
  "keepalive",
] as const;
export type CutReason = (typeof CUT_REASONS)[number];

const SENTENCES: { readonly [reason in CutReason]: string } = {
  total: "as many connections as the hub takes",
  address: "as many connections as one address may have",
  "made-room": "cut before it was accepted, for a newer one",
  "connect-timeout": "no CONNECT in time",
  "tls-handshake": "the TLS handshake failed or took too long",
  "http-timeout": "no whole HTTP request in time",
  keepalive: "said nothing for 1.5 times its keepalive",
};

interface Entry {
  readonly key: string;
  readonly socket: Socket;
  readonly group: Group;
  isOpen: boolean;
}

/** The connections from one address. */
interface Group {
  readonly network: string;
  count: number;
  /** Those that are not accepted yet, the oldest first. */
  readonly waiting: Set<Entry>;
}

/**
 * Bounds the connections of all listeners, in total and from each address.
 *
 *     accepted socket ─► enter ─► waiting ─► settle (an MQTT client that was accepted) ─► stays
 *                          │         └─ may be cut for a newer one
 *                          └─ refused
 *
 * Whoever floods the hub with connections on which nothing is said must not keep others out: where there is no room, the
 * oldest waiting connection of the address with most of them goes. A client that is accepted is never cut here. HTTP
 * connections always wait: an answer takes milliseconds, and browsers open another.
 */
export class ConnectionGate {
  readonly #limits: Pick<HubLimits, "maxConnections" | "maxConnectionsPerAddress">;
  readonly #shared: BlockList;
  readonly #log: LogLimit;
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Group>();
  readonly #cuts: { [reason in CutReason]: number };
  #open = 0;

  /** @throws CanfleetError `CONFIG_INVALID` for `sharedAddresses` */
  constructor(limits: HubLimits, log: HubLog) {
    this.#limits = limits;
    this.#shared = addressListOf(limits.sharedAddresses);
    this.#log = new LogLimit(log);
    this.#cuts = Object.fromEntries(CUT_REASONS.map((reason) => [reason, 0])) as { [reason in CutReason]: number };
  }

  /** Sockets that are open now. */
  get connections(): number {
    return this.#open;
  }

  /** Connections cut and refused since the start. */
  get cuts(): Readonly<{ [reason in CutReason]: number }> {
    return this.#cuts;
  }

  /** Counts a socket that a server has just accepted. @returns false: there was no room, and it is destroyed */
  enter(socket: Socket): boolean {
    const [key, address] = [keyOf(socket), peerAddress(socket)];
    if (key === undefined || address === undefined) {
      // It is gone again.
      socket.destroy();
      return false;
    }
    const network = networkOf(address);
    const group = this.#groups.get(network) ?? { network, count: 0, waiting: new Set() };
    const isFull = group.count >= this.#limits.maxConnectionsPerAddress && !this.#isShared(address);
    if (isFull && !this.#cutOldest(group, "address")) return this.#refuse(socket, "address");
    if (this.#open >= this.#limits.maxConnections && !this.#cutOldest(this.#mostWaiting(), "made-room")) {
      return this.#refuse(socket, "total");
    }
    this.#add({ key, socket, group, isOpen: true });
    return true;
  }

  /** An MQTT client on this socket, encrypted or not, was accepted: it is not cut for others any more. */
  settle(socket: Socket): void {
    const entry = this.#entries.get(keyOf(socket) ?? "");
    entry?.group.waiting.delete(entry);
  }

  /** Counts and tells a cut that somebody else made. */
  count(reason: CutReason, who: string): void {
    this.#cuts[reason]++;
    this.#log.warn(`connection from ${who}: ${SENTENCES[reason]}`);
  }

  #isShared(address: string): boolean {
    return this.#shared.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }

  #add(entry: Entry): void {
    const { key, group, socket } = entry;
    this.#groups.set(group.network, group);
    this.#entries.set(key, entry);
    this.#open++;
    group.count++;
    group.waiting.add(entry);
    socket.once("close", () => this.#remove(entry));
  }

  #remove(entry: Entry): void {
    if (!entry.isOpen) return;
    entry.isOpen = false;
    this.#open--;
    const { key, group } = entry;
    // A new connection may have the ports of one whose `close` is still to come.
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    group.waiting.delete(entry);
    group.count--;
    if (group.count === 0) this.#groups.delete(group.network);
  }

  #mostWaiting(): Group | undefined {
    let most: Group | undefined;
    for (const group of this.#groups.values()) {
      if (group.waiting.size > (most?.waiting.size ?? 0)) most = group;
    }
    return most;
  }

  /** @returns false: none of them waits */
  #cutOldest(group: Group | undefined, reason: CutReason): boolean {
    const [oldest] = group?.waiting ?? [];
    if (!group || !oldest) return false;
    this.count(reason, group.network);
    this.#remove(oldest);
    oldest.socket.destroy();
    return true;
  }

  #refuse(socket: Socket, reason: CutReason): false {
    this.count(reason, networkOf(peerAddress(socket)));
    socket.destroy();
    return false;
  }
}

/** The same for a socket and for TLS on it; undefined once the peer is gone. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return `${remoteAddress} ${remotePort} ${localAddress ?? ""} ${localPort ?? 0}`;
}
