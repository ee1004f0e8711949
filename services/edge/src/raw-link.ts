import type { Socket } from "node:net";
import { Dialer, LINK_TIMING, LinkListener, type FrameBatch, type LinkTiming } from "@canfleet/sdk";
import type { RecordForm } from "./config.ts";
import { RawPeer, type RawPeerMode } from "./raw-peer.ts";
import type { Transmitter } from "./transmit.ts";
import type { EdgeLog } from "./log.ts";

export interface RawLinkOptions {
  /** Who makes the connection. What is spoken on it is the same. */
  role: "dial" | "listen";
  /** The host to dial, or the address to listen on. Default when listening: all addresses. */
  host?: string;
  /** 0 takes a free one when listening: see `port`. */
  port: number;
  /** How frames are written to a host that is not canfleet's own. Default "auto": 21 bytes, and the upgrade is offered. */
  record?: RecordForm;
  /**
   * Listening: addresses and networks that may connect, IPv4 or IPv6, with `/BITS` for a network. They count as named by
   * the operator; without such a list everybody may connect and nobody is named. Default: none.
   */
  allow?: readonly string[];
  /** Bytes that wait for a slow host at most; then whole batches are dropped. Default 4 MiB. */
  maxBufferedBytes?: number;
  /** Told what happens to connections, in sentences. */
  log: EdgeLog;
  /** Other waits than docs/wire-tcp.md has: for tests and unusual networks. */
  timing?: Partial<LinkTiming>;
}

/** What happened on a link since it was made. */
export interface RawLinkCounters {
  /** Frames written to hosts. */
  framesOut: number;
  /** Frames that hosts asked to be sent. */
  framesIn: number;
  /** Frames lost at `link`: a host was too slow, or its format cannot hold them. */
  dropped: number;
  /** Connections ended because a host sent something else than frames. */
  badRecords: number;
  /** Connections made or taken. */
  connects: number;
  /** Connections not taken. */
  refusedPeers: number;
}

const DEFAULT_MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const MAX_HOSTS = 16;
const CLOSE_MS = 1000;

/** One bus towards the hosts that the operator named: dials one for ever, or listens for several. */
export class RawLink {
  readonly counters: RawLinkCounters = {
    framesOut: 0,
    framesIn: 0,
    dropped: 0,
    badRecords: 0,
    connects: 0,
    refusedPeers: 0,
  };
  readonly #options: RawLinkOptions;
  readonly #transmitter: Transmitter;
  readonly #timing: LinkTiming;
  readonly #peers = new Map<RawPeer, string>();
  readonly #name: string;
  #source: Dialer | LinkListener | undefined;
  #isUnreachable = false;

  constructor(options: RawLinkOptions, transmitter: Transmitter) {
    this.#options = options;
    this.#transmitter = transmitter;
    this.#timing = { ...LINK_TIMING, ...options.timing };
    this.#name = `raw link ${options.role === "dial" ? "to" : "on"} ${options.host ?? "port"}:${options.port}`;
  }

  /**
   * Dialling: returns at once and tries for ever. Listening: resolves once hosts can connect.
   *
   * @throws CanfleetError `LINK_PORT_IN_USE`, `CONFIG_INVALID`
   * @throws RangeError naming the part of `allow` that is no address
   */
  async start(): Promise<void> {
    const { role, host, port, allow } = this.#options;
    const onSocket = (socket: Socket): void => this.#onSocket(socket);
    if (role === "dial") {
      const dialer = new Dialer({
        host: host ?? "localhost",
        port,
        timing: this.#timing,
        onSocket,
        onFailed: (error) => this.#onFailed(error),
      });
      this.#source = dialer;
      dialer.start();
      return;
    }
    const onRefused = (address: string, reason: string): void => this.#refuse(address, reason);
    const listener = new LinkListener({ port, hostname: host, allow, onSocket, onRefused });
    await listener.listen();
    this.#source = listener;
  }

  /** The port it listens on, or dials. */
  get port(): number {
    return this.#source instanceof LinkListener ? this.#source.port : this.#options.port;
  }

  /** `ADDRESS:PORT` of each connected host, with the format it is spoken to in. */
  get peers(): { address: string; mode: RawPeerMode }[] {
    return [...this.#peers].map(([peer, address]) => ({ address, mode: peer.mode }));
  }

  /** Encodes the batch for each host now; it may be used again after the call. */
  publish(batch: FrameBatch): void {
    for (const peer of this.#peers.keys()) peer.publish(batch);
  }

  #onFailed(error: Error): void {
    // Once for each outage: attempts go on for ever.
    if (!this.#isUnreachable) this.#options.log(`${this.#name}: not reachable, trying on: ${error.message}`, "warn");
    this.#isUnreachable = true;
  }

  #refuse(address: string, reason: string): void {
    this.counters.refusedPeers++;
    this.#options.log(`${this.#name}: ${address} refused: ${reason}`, "warn");
  }

  #onSocket(socket: Socket): void {
    const address = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`;
    if (this.#peers.size >= MAX_HOSTS) {
      socket.destroy();
      this.#refuse(address, `${MAX_HOSTS} hosts are connected already`);
      return;
    }
    this.#isUnreachable = false;
    this.counters.connects++;
    this.#options.log(`${this.#name}: ${address} connected`);
    const peer = new RawPeer(socket, {
      record: this.#options.record ?? "auto",
      maxBufferedBytes: this.#options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES,
      timing: this.#timing,
      transmitter: this.#transmitter,
      source: this.#options.role === "dial" || this.#options.allow ? "link" : "guest",
      by: `host ${address}`,
      counters: this.counters,
      onClosed: (reason) => {
        this.#peers.delete(peer);
        this.#options.log(`${this.#name}: ${address} disconnected: ${reason}`, "warn");
      },
    });
    this.#peers.set(peer, address);
    peer.start();
  }

  /** Ends all connections, after at most a second for what waits. */
  async close(): Promise<void> {
    if (this.#source instanceof LinkListener) this.#source.close();
    else this.#source?.stop();
    await Promise.all([...this.#peers.keys()].map((peer) => peer.close(CLOSE_MS)));
    this.#source?.close();
  }
}
