import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { CanfleetError, messageOf } from "./errors.ts";
import { HubAddresses, isEncrypted, type HubUrls } from "./hub-addresses.ts";
import { HubReturn } from "./hub-return.ts";
import { redactUrls } from "./redact.ts";
import { tlsFailure } from "./tls-failure.ts";

/** MQTT's own word for how hard delivery is tried. Frames go at 0, states at 1; 2 is not used. */
export type QoS = 0 | 1;

export interface HubWill {
  topic: string;
  payload: string;
  retain: boolean;
}

/** How an encrypted connection (`mqtts://`, `wss://`) knows its hub, and the hub us. Not in browsers, which know both. */
export interface HubTls {
  /** Certificates of the authorities that are trusted, PEM. Default: those that come with Node. */
  ca?: string | Uint8Array | undefined;
  /** Certificate to show to the hub, PEM; with `key`. Default: none. */
  cert?: string | Uint8Array | undefined;
  /** Private key of `cert`, PEM, without a passphrase. */
  key?: string | Uint8Array | undefined;
  /** Name that the hub's certificate must have. Default: the host of the address. */
  servername?: string | undefined;
}

/** What an encrypted connection uses; or a function that is asked before each attempt to connect, for files that change. */
export type HubTlsSource = HubTls | (() => HubTls);

/** Who a client is at the hub. MQTT has no password without a user; for a token the user is "token". */
export interface HubLogin {
  username?: string;
  password?: string;
}

export interface HubConnectionOptions extends HubLogin {
  /** Default: `canfleet_` and random digits. */
  clientId?: string;
  /** Only with `mqtts://` and `wss://`. */
  tls?: HubTlsSource | undefined;
  /** Asked before each attempt to connect, so that a late will can be told from the newest one. */
  will?: () => HubWill;
  /** The peer is taken for dead after 1.5 times this silence, seconds. Default 10. */
  keepaliveSeconds?: number;
  /** Bytes that wait for the socket at most; `publish` refuses beyond. Default 4 MiB. */
  maxBufferedBytes?: number;
  /** Longest pause between two attempts, ms; each is shortened at random. Default 4,000. */
  maxReconnectMs?: number;
  /**
   * With several addresses: after so long at another one than the first, goes back to the first if that answers, ms;
   * lengthened at random by up to half. Default: stays until the connection ends.
   */
  returnAfterMs?: number | undefined;
  /** Each message of the subscriptions. The payload is the listener's own. */
  onMessage?: (topic: string, payload: Uint8Array, retained: boolean) => void;
  /** Everything that `publish` was given has gone to the socket, after some of it had to wait. */
  onDrain?: () => void;
  /** After each connect, subscriptions included. */
  onConnect?: () => void;
  /** The connection was lost; not told after `close`. */
  onDisconnect?: (reason: string) => void;
  /** An attempt to connect failed, for this reason; there will be another. Not told after `close`. */
  onAttemptFailed?: (reason: string) => void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const CLOSED_EARLY = "the connection was closed before the hub answered";
/** How long `close` waits for what is on its way, ms. */
const CLOSE_TIMEOUT_MS = 800;
/** CONNACK return codes (MQTT 3.1.1, 3.2.2.3) that mean "not you" rather than "not now". */
const REFUSED_CODES = new Set([1, 2, 4, 5]);

/**
 * One connection to an MQTT 3.1.1 broker, the only place that knows the MQTT library. It reconnects for ever; when it
 * has several addresses, to whichever answers (`HubAddresses` has the rule).
 *
 * Nothing is queued while there is no connection: what would be stale later is refused now.
 */
export class HubConnection {
  readonly clientId: string;
  readonly #client: MqttClient;
  readonly #maxBufferedBytes: number;
  readonly #maxReconnectMs: number;
  readonly #options: HubConnectionOptions;
  readonly #addresses: HubAddresses;
  readonly #return: HubReturn | undefined;
  /** Addresses whose brokers have said no since the last connection. */
  readonly #refusedBy = new Set<string>();
  #connected = false;
  #closing = false;
  #lastError: Error | undefined;
  /** Whether this attempt to connect has had an error. */
  #attemptFailed = false;
  readonly #waiting = new Set<(error: Error) => void>();

  /**
   * Begins to connect and returns at once; see `ready`.
   *
   * @param urls `mqtt://`, `mqtts://`, `ws://` or `wss://`; several in order of preference, all encrypted or none
   * @throws CanfleetError `CONFIG_INVALID` when an address is none, or `tls` is for another kind of address or cannot be read
   */
  constructor(urls: HubUrls, options: HubConnectionOptions = {}) {
    this.#addresses = new HubAddresses(urls);
    this.#options = options;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? 4 * 1024 * 1024;
    this.#maxReconnectMs = options.maxReconnectMs ?? 4_000;
    const url = this.#addresses.current;
    const tls = currentTls(options.tls);
    assertTls(url, tls);
    this.clientId = options.clientId ?? `canfleet_${Math.random().toString(16).slice(2, 14)}`;
    const reconnectPeriod = this.#nextPauseMs();
    this.#client = connectWith(url, { ...clientOptions(options, this.clientId), reconnectPeriod, ...tlsOptions(tls) });
    this.#listen();
    if (options.returnAfterMs !== undefined && this.#addresses.count > 1)
      this.#return = this.#returning(options.returnAfterMs);
  }

  /** The address of this connection, or attempt, without user and password, to be shown. */
  get url(): string {
    return redactUrls(this.#addresses.current);
  }

  /** The same, with them. */
  get address(): string {
    return this.#addresses.current;
  }

  #returning(afterMs: number): HubReturn {
    const { username, password, tls } = this.#options;
    const login = { ...(username === undefined ? {} : { username }), ...(password === undefined ? {} : { password }) };
    return new HubReturn(afterMs, {
      preferredAnswers: async () => {
        const probe = new HubConnection(this.#addresses.preferred, { ...login, tls });
        const answers = await probe.ready().then(
          () => true,
          () => false,
        );
        await probe.close();
        return answers;
      },
      go: () => {
        this.#addresses.restart();
        this.#lastError = new Error(`going back to ${redactUrls(this.#addresses.preferred)}`);
        // Without a goodbye: whoever watches the will there must learn that this client is gone.
        this.#client.stream.destroy();
      },
    });
  }

  #listen(): void {
    const client = this.#client;
    client.on("connect", () => this.#onConnect());
    this.#watchStream();
    client.on("reconnect", () => {
      this.#attemptFailed = false;
      this.#useNextAddress();
      // The new stream is there when the library has left this event.
      queueMicrotask(() => this.#watchStream());
      const { will, tls } = this.#options;
      if (will) client.options.will = willOption(will());
      if (typeof tls === "function") Object.assign(client.options, { wsOptions: {} }, tlsOptions(tls()));
    });
    client.on("close", () => this.#onClose());
    client.on("error", (error) => this.#onError(error));
    client.on("message", (topic, payload, packet) => this.#options.onMessage?.(topic, payload, packet.retain));
  }

  #useNextAddress(): void {
    const { options } = this.#client;
    this.#addresses.advance();
    if (this.#addresses.count > 1) Object.assign(options, addressOptions(this.#addresses.current, this.#options));
    // The library takes the pause after this attempt before it tells of its end.
    options.reconnectPeriod = this.#nextPauseMs();
  }

  /** The library keeps most errors of TLS and WebSockets to itself. */
  #watchStream(): void {
    this.#client.stream.on("error", (error: Error) => this.#onError(error));
  }

  #onError(error: Error): void {
    this.#attemptFailed = true;
    this.#lastError = error;
    if (isRefusal(error)) this.#refusedBy.add(this.#addresses.current);
    for (const told of this.#waiting) told(error);
  }

  #onConnect(): void {
    this.#connected = true;
    this.#lastError = undefined;
    this.#refusedBy.clear();
    this.#addresses.connected();
    this.#client.options.reconnectPeriod = this.#nextPauseMs();
    if (!this.#addresses.isPreferred) this.#return?.connectedElsewhere();
    // Without it a batch waits for the acknowledgement of the one before: 20 to 40 ms at 50 messages/s.
    const stream = this.#client.stream as { setNoDelay?: (on: boolean) => void };
    stream.setNoDelay?.(true);
    const { onDrain } = this.#options;
    if (onDrain) this.#client.stream.on("drain", onDrain);
    this.#options.onConnect?.();
  }

  #onClose(): void {
    this.#return?.cancel();
    const wasConnected = this.#connected;
    this.#connected = false;
    if (!wasConnected && !this.#attemptFailed) this.#onError(new Error(CLOSED_EARLY));
    if (this.#closing) return;
    if (wasConnected) this.#options.onDisconnect?.(this.#lastError ? messageOf(this.#lastError) : "connection closed");
    else this.#options.onAttemptFailed?.(this.#reason());
  }

  #nextPauseMs(): number {
    return this.#addresses.pauseMs(this.#maxReconnectMs, Math.random());
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** Bytes that wait for the socket. */
  get bufferedBytes(): number {
    return this.#connected ? this.#client.stream.writableLength : 0;
  }

  /**
   * Waits for the first connection.
   *
   * @param timeoutMs default 5,000 for each address
   * @throws CanfleetError `HUB_UNREACHABLE`; `HUB_REFUSED` when every broker says no or one end does not trust the other's
   * certificate; `LINK_CLOSED` after `close`
   */
  async ready(timeoutMs = CONNECT_TIMEOUT_MS * this.#addresses.count): Promise<void> {
    if (this.#connected) return;
    const client = this.#client;
    await new Promise<void>((resolve, reject) => {
      const done = (error?: CanfleetError): void => {
        clearTimeout(timer);
        client.off("connect", connected);
        this.#waiting.delete(failed);
        client.off("end", ended);
        if (error) reject(error);
        else resolve();
      };
      const connected = (): void => done();
      const failed = (error: Error): void => {
        if (isRefusal(error) && this.#refusedBy.size === this.#addresses.count) done(this.#refused(error));
      };
      const ended = (): void => done(new CanfleetError("LINK_CLOSED", `connection to hub ${this.url} was closed`));
      const timer = setTimeout(() => done(this.#unreachable()), timeoutMs);
      client.on("end", ended);
      client.on("connect", connected);
      this.#waiting.add(failed);
    });
  }

  #refused(error: Error): CanfleetError {
    return new CanfleetError("HUB_REFUSED", `hub ${this.url}: ${tlsFailure(error)?.text ?? error.message}`, {
      cause: error,
    });
  }

  #unreachable(): CanfleetError {
    const { count, shown } = this.#addresses;
    const what = count === 1 ? `hub ${shown} cannot` : `none of the hubs ${shown} can`;
    return new CanfleetError("HUB_UNREACHABLE", `${what} be reached: ${this.#reason()}`, {
      retryable: true,
    });
  }

  #reason(): string {
    const error = this.#lastError;
    if (!error) return "no answer";
    const known = tlsFailure(error)?.text;
    if (known !== undefined) return known;
    const isCode = "code" in error && typeof error.code === "string";
    if (isEncrypted(this.url)) {
      const isCutOff = error.message === CLOSED_EARLY || (isCode && error.code === "ECONNRESET");
      return isCutOff
        ? "the connection was closed before the hub answered: a plain port, or a certificate that it does not take?"
        : describe(error);
    }
    // What a TLS server answers to plain text is no packet, or nothing.
    const isAnswer = "code" in error && typeof error.code === "number";
    return isCode || isAnswer || error instanceof AggregateError ? describe(error) : `${describe(error)} (a TLS port?)`;
  }

  /**
   * Hands a message to the socket.
   *
   * @returns false when it was not taken: no connection, or more than the bound waits already
   */
  publish(topic: string, payload: Uint8Array | string, options: { qos?: QoS; retain?: boolean } = {}): boolean {
    if (!this.#connected || this.bufferedBytes > this.#maxBufferedBytes) return false;
    // No callback: the library keeps one listener for each, and thousands of them block the event loop for minutes.
    this.#client.publish(topic, payload as Buffer | string, { qos: options.qos ?? 0, retain: options.retain ?? false });
    return true;
  }

  /**
   * Publishes at QoS 1 and waits for the broker's acknowledgement, for the few messages that must not be missed.
   *
   * @throws CanfleetError `HUB_UNREACHABLE` without a connection, or when it is lost before
   */
  async publishConfirmed(topic: string, payload: string, retain: boolean): Promise<void> {
    if (!this.#connected) throw this.#unreachable();
    try {
      await this.#client.publishAsync(topic, payload, { qos: 1, retain });
    } catch (error) {
      throw new CanfleetError("HUB_UNREACHABLE", `hub ${this.url}: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Subscribes now and after each reconnect.
   *
   * @throws CanfleetError `HUB_REFUSED` when the broker refuses the filter, `HUB_UNREACHABLE` without a connection
   */
  async subscribe(topicFilters: readonly string[], qos: QoS): Promise<void> {
    try {
      const grants = await this.#client.subscribeAsync([...topicFilters], { qos });
      const refused = grants.find((grant) => (grant.qos as number) >= 128);
      if (refused) throw this.#subscriptionRefused(refused.topic);
    } catch (error) {
      if (error instanceof CanfleetError) throw error;
      const code = (error as { code?: unknown }).code;
      if (code === 128) throw this.#subscriptionRefused(topicFilters.join(", "));
      throw new CanfleetError("HUB_UNREACHABLE", `hub ${this.url}: ${messageOf(error)}`, { cause: error });
    }
  }

  #subscriptionRefused(topicFilter: string): CanfleetError {
    return new CanfleetError("HUB_REFUSED", `hub ${this.url} refused the subscription to ${topicFilter}`);
  }

  /** Says goodbye, so that the will is not published, and ends; at most 800 ms. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#return?.cancel();
    const ended = this.#client.endAsync(!this.#connected).catch(() => undefined);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([ended, timeout]);
    clearTimeout(timer);
    this.#client.stream.destroy();
  }
}

/** Whether a broker says "not you", or one end does not trust the other. */
function isRefusal(error: Error & { code?: unknown }): boolean {
  const isCode = typeof error.code === "number" && REFUSED_CODES.has(error.code);
  return isCode || tlsFailure(error)?.distrusted === true;
}

function connectWith(url: string, options: IClientOptions): MqttClient {
  try {
    return connect(url, options);
  } catch (error) {
    // Node reads keys and certificates at the call.
    throw new CanfleetError("CONFIG_INVALID", `hub ${redactUrls(url)}: ${messageOf(error)}`, { cause: error });
  }
}

function assertTls(url: string, tls: HubTls | undefined): void {
  if (tls === undefined) return;
  if (!isEncrypted(url)) {
    throw new CanfleetError(
      "CONFIG_INVALID",
      `hub ${redactUrls(url)}: tls is for mqtts:// and wss://, this is sent in the clear`,
    );
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new CanfleetError("CONFIG_INVALID", `hub ${redactUrls(url)}: tls needs cert and key, or neither`);
  }
}

/** What of the library's options says where the broker is, and who we are there. */
function addressOptions(url: string, { username, password, tls }: HubConnectionOptions): IClientOptions {
  const { protocol, hostname, port, pathname, search, username: user, password: secret } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return {
    protocol: protocol.slice(0, -1) as "mqtt",
    host,
    hostname: host,
    // The library writes its defaults into these.
    port: port === "" ? undefined : Number(port),
    // To the library a path of a plain socket is one in the file system.
    path: protocol.startsWith("ws") ? `${pathname}${search}` : undefined,
    servername: currentTls(tls)?.servername,
    username: user === "" ? username : decodeURIComponent(user),
    password: secret === "" ? password : decodeURIComponent(secret),
  } as IClientOptions;
}

function clientOptions(options: HubConnectionOptions, clientId: string): IClientOptions {
  return {
    protocolVersion: 4,
    clean: true,
    keepalive: options.keepaliveSeconds ?? 10,
    connectTimeout: CONNECT_TIMEOUT_MS,
    resubscribe: true,
    // Both default to queueing without limit, to be sent out of order after an outage.
    queueQoSZero: false,
    reconnectOnConnackError: true,
    clientId,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.will ? { will: willOption(options.will()) } : {}),
  };
}

function currentTls(tls: HubTlsSource | undefined): HubTls | undefined {
  return typeof tls === "function" ? tls() : tls;
}

function tlsOptions(tls: HubTls | undefined): IClientOptions {
  if (!tls) return {};
  const { servername, ...rest } = tls;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  // The library hands the name on to TCP only.
  return { ...given, ...(servername === undefined ? {} : { servername, wsOptions: { servername } as object }) };
}

function willOption(will: HubWill): NonNullable<IClientOptions["will"]> {
  // The library takes text as well; its types say Buffer, which a browser has not.
  return { ...will, payload: will.payload, qos: 1 };
}

/** Connection errors of several addresses come as one AggregateError without a text of its own. */
function describe(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  return error.message || error.name;
}
