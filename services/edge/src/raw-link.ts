import {
  assertLinkSecurity,
  Dialer,
  LINK_TIMING,
  LinkListener,
  RepeatFilter,
  type CanfleetError,
  type FrameBatch,
  type LinkPeer,
  type LinkSecurity,
  type LinkTiming,
} from "@canfleet/sdk";
import type { RecordForm } from "./config.ts";
import { RawPeer, type RawPeerMode } from "./raw-peer.ts";
import { printable } from "./refusals.ts";
import type { Transmitter } from "./transmit.ts";
import type { EdgeLog } from "./log.ts";

export interface RawLinkOptions extends LinkSecurity {
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
   * the operator, as do those who prove the token; without either everybody may connect and nobody is named. Default: none.
   */
  allow?: readonly string[];
  /** Bytes that wait for a slow host at most; then whole batches are dropped. Default 4 MiB. */
  maxBufferedBytes?: number;
  /** Told when a host sends something that is no frame, which ends its connection. Default: it is counted only. */
  onUnreadable?: (by: string, detail: string) => void;
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
  readonly #refusals = new RepeatFilter();
  /** Whether the last connection ended because the host did not want it. */
  #isRefused = false;
  /** Why the host cannot be reached, as it was told. */
  #failure: string | undefined;

  constructor(options: RawLinkOptions, transmitter: Transmitter) {
    this.#options = options;
    this.#transmitter = transmitter;
    this.#timing = { ...LINK_TIMING, ...options.timing };
    this.#name = `raw link ${options.role === "dial" ? "to" : "on"} ${options.host ?? "port"}:${options.port}`;
  }

  /**
   * Dialling: returns at once and tries for ever. Listening: resolves once hosts can connect.
   *
   * @throws CanfleetError `LINK_PORT_IN_USE`; `CONFIG_INVALID` also for certificates or a token that cannot be used
   * @throws RangeError naming the part of `allow` that is no address
   */
  async start(): Promise<void> {
    const { role, host, port, allow, tls, token, record } = this.#options;
    assertLinkSecurity({ tls, token }, role === "listen", record);
    const common = {
      port,
      role: "edge",
      tls,
      token,
      timing: this.#timing,
      onPeer: (peer: LinkPeer): void => this.#onPeer(peer),
    } as const;
    if (role === "dial") {
      const onFailed = (error: CanfleetError): void => this.#onFailed(error);
      const dialer = new Dialer({ ...common, host: host ?? "localhost", onFailed });
      this.#source = dialer;
      dialer.start();
      return;
    }
    const onRefused = (address: string, reason: string): void => this.#refuse(address, reason);
    const listener = new LinkListener({ ...common, hostname: host, allow, onRefused });
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

  #onFailed({ code, message }: CanfleetError): void {
    // Once for each outage, and when there is something to be done about it: attempts go on for ever.
    const isRefusal = code === "LINK_REFUSED";
    if (this.#failure !== undefined && (!isRefusal || this.#failure === message)) return;
    this.#failure = message;
    this.#options.log(`${this.#name}: ${isRefusal ? "no link" : "not reachable"}, trying on: ${message}`, "warn");
  }

  #refuse(address: string, reason: string): void {
    this.counters.refusedPeers++;
    const line = `${this.#name}: ${address} refused: ${reason}`;
    if (this.#refusals.isNews(line)) this.#options.log(line, "warn");
  }

  #onPeer(accepted: LinkPeer): void {
    const { socket, certificateName } = accepted;
    const address = `${socket.remoteAddress ?? ""}:${socket.remotePort ?? 0}`;
    if (this.#peers.size >= MAX_HOSTS) {
      socket.destroy();
      this.#refuse(address, `${MAX_HOSTS} hosts are connected already`);
      return;
    }
    this.#failure = undefined;
    this.counters.connects++;
    const who = certificateName === undefined ? address : `${address} (${printable(certificateName)})`;
    this.#say(`${this.#name}: ${who} connected`);
    const peer = new RawPeer(accepted, {
      record: this.#options.record ?? "auto",
      maxBufferedBytes: this.#options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES,
      timing: this.#timing,
      transmitter: this.#transmitter,
      source: this.#isNamed ? "link" : "guest",
      by: `host ${who}`,
      counters: this.counters,
      onUnreadable: this.#options.onUnreadable,
      onClosed: (reason, isRefusal) => {
        this.#peers.delete(peer);
        this.#isRefused = isRefusal;
        this.#say(`${this.#name}: ${who} disconnected: ${reason}`, "warn");
      },
    });
    this.#peers.set(peer, address);
    peer.start();
  }

  /** Dialled hosts that refuse are dialled for ever: that is told once in a while. */
  #say(line: string, level?: "info" | "warn"): void {
    if (!this.#isRefused || this.#refusals.isNews(line)) this.#options.log(line, level);
  }

  /** Whether the operator has named whoever gets in. A certificate alone names nobody: every edge of a fleet has one. */
  get #isNamed(): boolean {
    const { role, allow, token } = this.#options;
    return role === "dial" || allow !== undefined || token !== undefined;
  }

  /** Ends all connections, after at most a second for what waits. */
  async close(): Promise<void> {
    if (this.#source instanceof LinkListener) this.#source.close();
    else this.#source?.stop();
    await Promise.all([...this.#peers.keys()].map((peer) => peer.close(CLOSE_MS)));
    this.#source?.close();
  }
}
