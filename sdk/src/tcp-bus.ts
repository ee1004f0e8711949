import { BaseBus, type BaseBusOptions } from "./base-bus.ts";
import type { SendOptions, SendResult } from "./bus.ts";
import type { FrameBatch, FrameParts } from "./can/frame-batch.ts";
import { isErrorWord } from "./can/id.ts";
import type { Message } from "./can/message.ts";
import { CanfleetError } from "./errors.ts";
import { LinkContinuity } from "./link-continuity.ts";
import { sendError } from "./send-error.ts";
import { Dialer } from "./tcp/dialer.ts";
import { HostLink } from "./tcp/host-link.ts";
import { assertLinkSecurity, type LinkPeer, type LinkSecurity } from "./tcp/link-security.ts";
import { LINK_TIMING, type LinkTiming } from "./tcp/link-timing.ts";
import { LinkListener, plainAddress } from "./tcp/listener.ts";
import { RepeatFilter } from "./tcp/repeat-filter.ts";
import { SendQueue } from "./tcp/send-queue.ts";
import { MAX_TTL_MS, type SendCode } from "./wire/send-request.ts";
import type { RecordForm } from "./wire/record.ts";

export interface TCPBusOptions extends BaseBusOptions, LinkSecurity {
  /**
   * How the peer writes frames. Default "auto": found from the bytes, upgraded where it is canfleet's own edge; with a
   * token it can be nothing else.
   */
  record?: RecordForm;
  /** Bytes of frames that wait to be sent at most. Default 4 MiB. */
  maxBufferedBytes?: number;
  /** Told what happens to connections, in sentences. Default: nobody. */
  log?: (text: string) => void;
  /** Whether to resolve only once an edge has connected. Default true. */
  wait?: boolean;
  /** Other waits than docs/wire-tcp.md has: for tests and unusual networks. */
  timing?: Partial<LinkTiming>;
}

export interface TCPListenOptions extends TCPBusOptions {
  /** Address to listen on. Default: all addresses of this machine, since edges come from outside. */
  hostname?: string;
  /** Addresses and networks that may connect, `192.168.1.5` or `10.0.0.0/8`. Default: all. */
  allow?: readonly string[];
}

/** What happened on a bus since it was made. */
export interface TCPBusCounters {
  /** Connections that became a link. */
  connects: number;
  /** Connections that were not taken: not allowed, not proven, or another edge was there. */
  refusedPeers: number;
  /** Bytes that were part of no frame. */
  skippedBytes: number;
}

const DEFAULT_TTL_MS = 500;
const DEFAULT_MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const MAX_HOST_FRAME_BYTES = 78;
const MAX_NUMBER = 0xffffffff;
const EXPIRY_CHECK_MS = 20;
const SHUTDOWN_MS = 1000;
const QUEUED: SendResult = { timestampUs: undefined };

interface Pending {
  resolve(result: SendResult): void;
  reject(error: Error): void;
}

/** The bus of one edge over a TCP connection: socketsocketcan's clients, and canfleet's own edges. Reconnects for ever. */
export class TCPBus extends BaseBus {
  /** What the bus's events call it: `tcp:PORT` or `tcp:HOST:PORT`. */
  readonly channel: string;
  readonly counters: TCPBusCounters = { connects: 0, refusedPeers: 0, skippedBytes: 0 };
  readonly #record: RecordForm;
  readonly #timing: LinkTiming;
  readonly #log: (text: string) => void;
  readonly #sends: SendQueue;
  readonly #pending = new Map<number, Pending>();
  readonly #continuity = new LinkContinuity();
  readonly #refusals = new RepeatFilter();
  readonly #security: LinkSecurity;
  /** Tells the program that waits for its first connection that there will be none. */
  #giveUp: ((error: CanfleetError) => void) | undefined;
  #source: Dialer | LinkListener | undefined;
  #link: HostLink | undefined;
  #number = 0;
  #expiryTimer: NodeJS.Timeout | undefined;
  #pumpTimer: NodeJS.Immediate | undefined;

  private constructor(channel: string, options: TCPBusOptions, isListening: boolean) {
    assertLinkSecurity(options, isListening, options.record);
    super(options);
    this.channel = channel;
    this.#security = { tls: options.tls, token: options.token };
    this.#record = options.record ?? "auto";
    this.#timing = { ...LINK_TIMING, ...options.timing };
    this.#log = options.log ?? (() => undefined);
    const maxBytes = options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES;
    this.#sends = new SendQueue(Math.max(1, Math.floor(maxBytes / MAX_HOST_FRAME_BYTES)));
  }

  /**
   * Listens for an edge and resolves once one has connected; one edge at a time. Port 0 takes a free one: see `port`.
   * With `tls` or `token` an edge counts as connected when it has shown what is asked of it (docs/wire-tcp.md 5).
   *
   * @throws CanfleetError `LINK_PORT_IN_USE`, `CONFIG_INVALID`
   * @throws RangeError naming the part of `allow` that is no address
   */
  static async listen(port: number, options: TCPListenOptions = {}): Promise<TCPBus> {
    const bus = new TCPBus(`tcp:${port}`, options, true);
    const listener = new LinkListener({
      port,
      role: "host",
      ...bus.#security,
      timing: bus.#timing,
      hostname: options.hostname,
      allow: options.allow,
      onPeer: (peer) => bus.#onPeer(peer),
      onRefused: (address, reason) => bus.#refuse(address, reason),
    });
    await listener.listen();
    bus.#source = listener;
    return bus.#whenConnected(options.wait ?? true);
  }

  /**
   * Dials an edge that listens and resolves once it is connected. It may come later: attempts go on for ever, but for
   * an edge that is there before and refuses, or is not the right one.
   *
   * @throws CanfleetError `CONFIG_INVALID`; `LINK_REFUSED` when one end does not trust the other, unless `wait` is false
   */
  static async connect(host: string, port: number, options: TCPBusOptions = {}): Promise<TCPBus> {
    const bus = new TCPBus(`tcp:${host}:${port}`, options, false);
    const dialer = new Dialer({
      host,
      port,
      role: "host",
      ...bus.#security,
      timing: bus.#timing,
      onPeer: (peer) => bus.#onPeer(peer),
      onFailed: (error) => bus.#onFailed(error),
    });
    bus.#source = dialer;
    const connected = bus.#whenConnected(options.wait ?? true);
    dialer.start();
    return connected;
  }

  #whenConnected(wait: boolean): Promise<TCPBus> {
    if (!wait || this.isConnected) return Promise.resolve(this);
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      this.once("connect", () => {
        this.#giveUp = undefined;
        resolve(this);
      });
    });
  }

  #onFailed(error: CanfleetError): void {
    const isRefusal = error.code === "LINK_REFUSED";
    const line = `${this.channel}: ${isRefusal ? "no link" : "not reachable"}: ${error.message}`;
    if (!isRefusal || this.#refusals.isNews(line)) this.#log(line);
    if (isRefusal) this.#refused(error);
  }

  /** Ends the bus of a program that waits for its first connection: waiting longer would change nothing. */
  #refused(error: CanfleetError): void {
    if (!this.#giveUp || !(this.#source instanceof Dialer)) return;
    this.#giveUp(new CanfleetError("LINK_REFUSED", `${this.channel}: ${error.message}`, { cause: error }));
    this.#giveUp = undefined;
    void this.shutdown();
  }

  /** The port it listens on; undefined for a bus that dials. */
  get port(): number | undefined {
    return this.#source instanceof LinkListener ? this.#source.port : undefined;
  }

  /** What the link can carry: "records" are classic frames without results, "none" is no connection. */
  get link(): "none" | "records" | "extended" {
    const mode = this.#link?.mode ?? "opening";
    return mode === "opening" ? "none" : mode;
  }

  #onPeer(peer: LinkPeer): void {
    const { socket } = peer;
    const address = plainAddress(socket.remoteAddress ?? "");
    if (this.state === "shutdown" || (this.#link && this.#isAlive(this.#link, address))) {
      socket.destroy();
      this.#refuse(address, "another edge is connected");
      return;
    }
    this.#replace("replaced by a new connection of the edge");
    const link = new HostLink(
      peer,
      this.#sends,
      { record: this.#record, timing: this.#timing },
      {
        opened: () => this.#onOpened(link, address),
        frames: (batch) => this.#onFrames(batch),
        result: (number, code, timestampUs) => this.#onResult(number, code, timestampUs),
        wantsResult: (number) => this.#pending.has(number),
        refused: (number, error) => this.#settle(number, error),
        closed: (error) => {
          if (error.code === "LINK_REFUSED" && link === this.#link) this.#refused(error);
          this.#onClosed(link, error.message);
        },
      },
    );
    this.#link = link;
    this.#continuity.resume();
    link.start();
  }

  /** An edge whose address dials again has lost the old connection, unless that one just spoke. */
  #isAlive(link: HostLink, address: string): boolean {
    const isSameMachine = plainAddress(link.remoteAddress ?? "") === address;
    const hasHeartbeat = link.mode === "extended";
    return link.silentMs < 2.5 * this.#timing.heartbeatMs || !(isSameMachine || hasHeartbeat);
  }

  #refuse(address: string, reason: string): void {
    this.counters.refusedPeers++;
    const line = `${this.channel}: ${address} refused: ${reason}`;
    if (this.#refusals.isNews(line)) this.#log(line);
  }

  #onOpened(link: HostLink, address: string): void {
    if (link !== this.#link) return;
    this.counters.connects++;
    this.#log(`${this.channel}: ${address} connected, ${link.mode === "extended" ? "extended link" : "records"}`);
    this.connected();
  }

  #onFrames(batch: FrameBatch): void {
    if (batch.count > 0) this.#continuity.follow(batch);
    this.deliver(batch, this.channel);
  }

  #replace(reason: string): void {
    const link = this.#link;
    if (!link) return;
    this.#onClosed(link, reason);
    link.close(reason);
  }

  #onClosed(link: HostLink, reason: string): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.counters.skippedBytes += link.skippedBytes;
    const line = `${this.channel}: disconnected: ${reason}`;
    if (link.mode !== "opening" || this.#refusals.isNews(line)) this.#log(line);
    this.#abandonSent(reason);
    this.disconnected(reason);
  }

  /** Nobody will tell any more what became of frames that were handed to the connection. */
  #abandonSent(reason: string): void {
    const waiting = this.#sends.numbers();
    for (const number of [...this.#pending.keys()]) {
      if (waiting.has(number)) continue;
      const text = `${this.channel}: ${reason}; nobody can tell whether the frame was sent`;
      this.#settle(number, new CanfleetError("LINK_CLOSED", text, { retryable: true }));
    }
  }

  #onResult(number: number, code: SendCode, timestampUs: number | undefined): void {
    if (code !== "sent") this.#settle(number, sendError(code, this.channel));
    else {
      this.#pending.get(number)?.resolve({ timestampUs });
      this.#pending.delete(number);
    }
  }

  /** A refusal that nobody waits for comes as an `error` event. */
  #settle(number: number, error: CanfleetError): void {
    const pending = this.#pending.get(number);
    this.#pending.delete(number);
    if (pending) pending.reject(error);
    else this.reportError(error);
  }

  /**
   * Queues a frame; it waits for a connection until its time to live is over, and is never sent after that.
   * Without `confirm` a later refusal comes as an `error` event.
   *
   * @throws CanfleetError `SEND_QUEUE_FULL`; `WIRE_CANNOT_CARRY` for an error frame, and for what a record link cannot
   * hold or tell; with `confirm` also `SEND_*` from the edge, and `LINK_CLOSED` when nobody can tell any more
   * @throws RangeError for a time to live outside 1–60,000 ms
   */
  async send(message: Message, options: SendOptions = {}): Promise<SendResult> {
    const number = this.#queue(message.toParts(), options.ttlMs ?? DEFAULT_TTL_MS);
    this.#schedulePump();
    if (!options.confirm) return QUEUED;
    return new Promise((resolve, reject) => this.#pending.set(number, { resolve, reject }));
  }

  /**
   * Queues rows of a batch, without own and echo marks; refusals come as `error` events.
   *
   * @throws CanfleetError `SEND_QUEUE_FULL` at the first row that has no room; those before it are queued
   */
  override async sendBatch(batch: FrameBatch, options: Pick<SendOptions, "ttlMs"> = {}): Promise<void> {
    for (let i = 0; i < batch.count; i++) {
      if (batch.isError(i)) this.reportError(errorFrame());
      else this.#queue(batch.partsOf(i), options.ttlMs ?? DEFAULT_TTL_MS);
    }
    this.#schedulePump();
    return Promise.resolve();
  }

  #queue(frame: FrameParts, ttlMs: number): number {
    this.assertOpen();
    if (!(ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) throw new RangeError(`ttlMs must be 1 to ${MAX_TTL_MS}, got ${ttlMs}`);
    if (isErrorWord(frame.idWord)) throw errorFrame();
    this.#number = this.#number === MAX_NUMBER ? 1 : this.#number + 1;
    if (!this.#sends.push(frame, performance.now() + ttlMs, this.#number)) {
      const text = `${this.channel}: ${this.#sends.length} frames wait to be sent already`;
      throw new CanfleetError("SEND_QUEUE_FULL", text, { retryable: true });
    }
    return this.#number;
  }

  /** Frames queued in one turn of the event loop leave in one write. */
  #schedulePump(): void {
    this.#pumpTimer ??= setImmediate(() => {
      this.#pumpTimer = undefined;
      this.#link?.pump();
      this.#watchExpiry();
    });
  }

  #watchExpiry(): void {
    if (this.#sends.length === 0 || this.#expiryTimer !== undefined) return;
    this.#expiryTimer = setTimeout(() => {
      this.#expiryTimer = undefined;
      this.#sends.expire(performance.now(), (number) => this.#onResult(number, "expired", undefined));
      this.#watchExpiry();
    }, EXPIRY_CHECK_MS);
  }

  protected async close(): Promise<void> {
    clearImmediate(this.#pumpTimer);
    await this.#link?.drain(SHUTDOWN_MS);
    clearTimeout(this.#expiryTimer);
    for (const number of [...this.#pending.keys()]) {
      const text = `${this.channel}: the bus was shut down before the edge answered`;
      this.#settle(number, new CanfleetError("LINK_CLOSED", text));
    }
    this.#source?.close();
    this.#link?.close("shut down");
  }
}

function errorFrame(): CanfleetError {
  return new CanfleetError("WIRE_CANNOT_CARRY", "error frames are the kernel's to make: they cannot be sent");
}
