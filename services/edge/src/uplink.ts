import { randomBytes } from "node:crypto";
import {
  busTopic,
  decodePing,
  decodePong,
  decodeSendRequest,
  edgeTopic,
  type EdgeTopic,
  encodeClockMessage,
  encodeSendReport,
  HubConnection,
  type HubLogin,
  type HubTlsSource,
  type HubUrls,
  type HubWill,
  isCanfleetError,
  messageOf,
  parseTopic,
  readSendNonce,
  type QoS,
  type SendCode,
  type SendRequest,
  type ClockPong,
} from "@canfleet/sdk";
import type { EdgeClock } from "./clock/edge-clock.ts";
import { SeenNonces } from "./seen-nonces.ts";
import type { Refusals } from "./refusals.ts";
import type { Transmitter } from "./transmit.ts";
import type { EdgeLog } from "./log.ts";

/** Nonces are remembered this long, ms (docs/wire-mqtt.md 2.2). */
const NONCE_MEMORY_MS = 60_000;
const MAX_NONCES = 100_000;
const ANYBODY = "an MQTT client";
/** How often the way through the hub is measured, ms. */
const PING_INTERVAL_MS = 500;
/** Least time between two warnings of a second edge with our name, ms. */
const OTHER_EDGE_WARNING_MS = 60_000;

/** A bus that send requests are for. */
export interface SendTarget {
  transmitter: Transmitter;
  /** Told what is refused before it comes to the transmitter. */
  refusals: Refusals;
}

export interface UplinkOptions {
  /** In order of preference. */
  hubs: HubUrls;
  /** When to go back to the first of several, ms; undefined: never. */
  returnAfterMs: number | undefined;
  login: HubLogin;
  /** For `mqtts://` and `wss://`. */
  tls: HubTlsSource | undefined;
  base: string;
  edge: string;
  /** Says how old what comes from the hub can be. */
  clock: EdgeClock;
  log: EdgeLog;
  /** After each connect: the time to publish everything that is retained. */
  onConnect: () => void;
  onDisconnect: () => void;
  /** Everything that was published has gone to the socket, after some of it had to wait. */
  onDrain: () => void;
  /** The hub acknowledges. */
  onAck: (payload: Uint8Array) => void;
  /** The hub answers a ping. */
  onPong: (pong: ClockPong) => void;
  /** Somebody asks something of a bus. */
  onRequest: (bus: string, payload: Uint8Array) => void;
}

/** The edge's connection to the hub: the only part of the edge that knows topics. */
export class Uplink {
  /** Messages on our topics that were not as they should be. */
  badRequests = 0;
  readonly #options: UplinkOptions;
  /** µs since 1970 of this attempt to connect: tells this connection's will from those before it. */
  #session = 0;
  #otherWarnedAt = -Infinity;
  /** Why the last attempt to connect failed, as it was told. */
  #toldReason = "";
  readonly #hub: HubConnection;
  readonly #nonces = new SeenNonces(NONCE_MEMORY_MS, MAX_NONCES);
  readonly #targets = new Map<string, SendTarget>();
  readonly #pingTimer: NodeJS.Timeout;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#hub = new HubConnection(options.hubs, {
      ...options.login,
      clientId: `canfleet-edge-${options.edge}-${randomBytes(3).toString("hex")}`,
      will: () => this.#newSession(),
      onMessage: (topic, payload, retained) => this.#onMessage(topic, payload, retained),
      tls: options.tls,
      returnAfterMs: options.returnAfterMs,
      onConnect: () => this.#onConnect(),
      onAttemptFailed: (reason) => this.#onAttemptFailed(reason),
      onDisconnect: (reason) => {
        options.log(`hub ${this.#hub.url} lost (${reason}), reconnecting`, "warn");
        options.onDisconnect();
      },
      onDrain: options.onDrain,
    });
    this.#pingTimer = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  get isConnected(): boolean {
    return this.#hub.isConnected;
  }

  #newSession(): HubWill {
    this.#session = Date.now() * 1000;
    return { topic: this.#edgeTopic("state"), payload: this.#state("offline"), retain: true };
  }

  #edgeTopic(leaf: EdgeTopic): string {
    return edgeTopic(this.#options.base, this.#options.edge, leaf);
  }

  #state(state: "online" | "offline"): string {
    return JSON.stringify({ state, session: this.#session, t: Date.now() * 1000 });
  }

  #onConnect(): void {
    const { log, clock, onConnect } = this.#options;
    log(`hub ${this.#hub.url} connected`);
    clock.connected();
    this.#toldReason = "";
    this.#subscribe(this.#targets.keys());
    this.#publishState("online");
    this.#ping();
    onConnect();
  }

  #ping(): void {
    this.#hub.publish(this.#edgeTopic("ping"), encodeClockMessage(this.#options.clock.ping()));
  }

  #onPing(payload: Uint8Array): void {
    const ping = decodePing(payload);
    if (ping) this.#options.clock.echoed(ping);
  }

  #onPong(payload: Uint8Array): void {
    const pong = decodePong(payload);
    if (pong) this.#options.onPong(pong);
  }

  /** An edge tries for ever; each reason is told once. */
  #onAttemptFailed(reason: string): void {
    if (reason === this.#toldReason) return;
    this.#toldReason = reason;
    this.#options.log(`hub ${this.#hub.url} cannot be reached: ${reason}; trying again`, "warn");
  }

  #publishState(state: "online" | "offline"): void {
    this.#hub.publish(this.#edgeTopic("state"), this.#state(state), { qos: 1, retain: true });
  }

  /** Somebody else wrote our state: a late will of our own last connection, or a second edge with our name. */
  #onState(payload: Uint8Array): void {
    const { session, state } = parseState(payload);
    if (session === this.#session) return;
    if (state === "offline") {
      this.#publishState("online");
    } else if (session > this.#session && performance.now() > this.#otherWarnedAt + OTHER_EDGE_WARNING_MS) {
      this.#otherWarnedAt = performance.now();
      this.#options.log(
        `another edge uses the name ${this.#options.edge} on this hub; give one of them another --name`,
        "warn",
      );
    }
  }

  /** Executes the send requests of a bus from now on. */
  addBus(bus: string, target: SendTarget): void {
    this.#targets.set(bus, target);
    if (this.isConnected) this.#subscribe([bus]);
  }

  /** Without send topics the edge still relays: refused or failed subscriptions are told, not fatal. */
  #subscribe(buses: Iterable<string>): void {
    const { base, edge, log } = this.#options;
    const names = [...buses];
    const topics = names.map((bus) => busTopic(base, edge, bus, "send"));
    this.#hub
      .subscribe([...topics, this.#edgeTopic("state")], 1)
      .catch((error: unknown) => log(messageOf(error), "warn"));
    const requests = names.map((bus) => busTopic(base, edge, bus, "request"));
    this.#hub
      .subscribe([...requests, this.#edgeTopic("ack"), this.#edgeTopic("ping"), this.#edgeTopic("pong")], 0)
      .catch((error: unknown) => log(messageOf(error), "warn"));
  }

  publishInfo(info: object): void {
    this.#hub.publish(this.#edgeTopic("info"), JSON.stringify(info), { qos: 1, retain: true });
  }

  publishStatus(bus: string, status: object): void {
    const topic = busTopic(this.#options.base, this.#options.edge, bus, "status");
    this.#hub.publish(topic, JSON.stringify(status), { qos: 1, retain: true });
  }

  /** Sends a live batch. @returns false when it was not taken: no hub, or too much waits already */
  publishFrames(bus: string, batch: Uint8Array): boolean {
    return this.#publish(bus, "frames", batch, 0);
  }

  /** @returns false when the batch was not taken */
  publishBackfill(bus: string, batch: Uint8Array): boolean {
    return this.#publish(bus, "backfill", batch, 0);
  }

  publishResponse(bus: string, text: string): void {
    this.#hub.publish(busTopic(this.#options.base, this.#options.edge, bus, "response"), text, { qos: 0 });
  }

  /** Bytes that wait for the socket. */
  get bufferedBytes(): number {
    return this.#hub.bufferedBytes;
  }

  #publish(bus: string, leaf: "frames" | "backfill" | "sent", payload: Uint8Array, qos: QoS): boolean {
    return this.#hub.publish(busTopic(this.#options.base, this.#options.edge, bus, leaf), payload, { qos });
  }

  #onMessage(topic: string, payload: Uint8Array, retained: boolean): void {
    const { base, edge } = this.#options;
    const parsed = parseTopic(base, topic);
    if (parsed?.edge !== edge) return;
    if (parsed.leaf === "state") this.#onState(payload);
    if (parsed.leaf === "ack") this.#options.onAck(payload);
    if (parsed.leaf === "ping" && !retained) this.#onPing(payload);
    if (parsed.leaf === "pong" && !retained) this.#onPong(payload);
    if (parsed.leaf === "request" && !retained) this.#options.onRequest(parsed.bus, payload);
    if (parsed.leaf !== "send") return;
    const target = this.#targets.get(parsed.bus);
    if (target) this.#onSend(parsed.bus, target, payload, retained);
  }

  #onSend(bus: string, target: SendTarget, payload: Uint8Array, retained: boolean): void {
    let request: SendRequest;
    try {
      request = decodeSendRequest(payload);
    } catch (error) {
      if (!isCanfleetError(error)) throw error;
      this.badRequests++;
      target.refusals.add(ANYBODY, "unreadable", 1, error.message);
      const nonce = readSendNonce(payload);
      if (nonce) this.#answer(bus, nonce, ["failed"], [null]);
      return;
    }
    const by = requesterOf(request);
    if (!retained) this.#execute(bus, target, request, by);
    else {
      this.badRequests++;
      this.#refuse(bus, target, request, by, "retained");
    }
  }

  #answer(bus: string, nonce: Uint8Array, results: SendCode[], timestampsUs: (number | null)[]): void {
    this.#publish(bus, "sent", encodeSendReport({ nonce, results, timestampsUs }), 1);
  }

  #refuse(
    bus: string,
    { refusals }: SendTarget,
    { nonce, frames }: SendRequest,
    by: string,
    reason: "retained" | "duplicate" | "expired",
  ): void {
    refusals.add(by, reason, frames.count);
    const code: SendCode = reason === "retained" ? "denied" : reason;
    const results = Array.from({ length: frames.count }, () => code);
    this.#answer(
      bus,
      nonce,
      results,
      results.map(() => null),
    );
  }

  #execute(bus: string, target: SendTarget, request: SendRequest, by: string): void {
    const { nonce, frames } = request;
    const ttlMs = this.#options.clock.timeLeftMs(request.ttlMs, request.at);
    if (!this.#nonces.add(nonce)) {
      this.#refuse(bus, target, request, by, "duplicate");
      return;
    }
    if (ttlMs <= 0) {
      this.#refuse(bus, target, request, by, "expired");
      return;
    }
    const results: SendCode[] = Array.from({ length: frames.count }, () => "failed");
    const timestampsUs: (number | null)[] = results.map(() => null);
    let open = frames.count;
    target.transmitter.submit({
      frames,
      source: "mqtt",
      by,
      ttlMs,
      settled: (row, code, timestampUs) => {
        results[row] = code;
        timestampsUs[row] = timestampUs ?? null;
        if (--open === 0) this.#answer(bus, nonce, results, timestampsUs);
      },
    });
  }

  /** Says that the edge goes offline on purpose, and ends. */
  async close(): Promise<void> {
    clearInterval(this.#pingTimer);
    this.#publishState("offline");
    await this.#hub.close();
  }
}

/** Who asks. Only a hub that knows its clients says so; what it says is text from a peer. */
function requesterOf(request: SendRequest & { by?: string }): string {
  return request.by === undefined ? ANYBODY : `MQTT client ${request.by}`;
}

function parseState(payload: Uint8Array): { session: number; state: unknown } {
  try {
    const value = JSON.parse(new TextDecoder().decode(payload)) as { session?: unknown; state?: unknown } | null;
    return { session: typeof value?.session === "number" ? value.session : 0, state: value?.state };
  } catch {
    return { session: 0, state: undefined };
  }
}
