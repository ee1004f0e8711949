import { BaseBus, type BaseBusOptions } from "./base-bus.ts";
import type { PeriodicTask, SendOptions, SendResult } from "./bus.ts";
import { FrameBatch, type FrameParts } from "./can/frame-batch.ts";
import type { Message } from "./can/message.ts";
import { Continuity, unnumbered } from "./continuity.ts";
import { BusControlClient, type BusControl, type ControlClientOptions } from "./control/bus-control-client.ts";
import { MAX_PERIOD_MS, MIN_PERIOD_MS } from "./control/control-request.ts";
import { parseObject } from "./control/json-object.ts";
import { CanfleetError } from "./errors.ts";
import { HeardClock } from "./heard-clock.ts";
import type { HubUrls } from "./hub-addresses.ts";
import { HubConnection, type HubConnectionOptions, type HubLogin, type HubTlsSource } from "./hub-connection.ts";
import { OpenEnds } from "./open-ends.ts";
import { CompleteOrder, type CompleteOrderOptions } from "./order/complete-order.ts";
import { sendError } from "./send-error.ts";
import { decodeBackfillResponse, encodeBackfillRequest } from "./wire/backfill-request.ts";
import { decodeBatch } from "./wire/batch.ts";
import { decodePing } from "./wire/clock-message.ts";
import {
  decodeSendReport,
  encodeSendRequest,
  MAX_SEND_FRAMES,
  MAX_TTL_MS,
  type SendReport,
} from "./wire/send-request.ts";
import {
  assertBase,
  assertBusName,
  assertEdgeName,
  busTopic,
  DEFAULT_BASE,
  edgeTopic,
  parseTopic,
} from "./wire/topics.ts";

export interface MqttBusOptions extends BaseBusOptions, CompleteOrderOptions, HubLogin, ControlClientOptions {
  /** Edge name; "+" hears all edges. */
  edge: string;
  /** Bus name; "+" hears all buses. */
  bus: string;
  /** First part of all topics. Default "canfleet". */
  base?: string;
  /**
   * "live": frames as they come; what an outage kept back is a gap, stated as lost. "complete": every frame of each epoch
   * once and in order, late ones included; what nobody has any more is stated as lost, and at `shutdown` what was still
   * waited for. Default "live".
   */
  order?: "live" | "complete";
  /** Only with `mqtts://` and `wss://`. */
  tls?: HubTlsSource | undefined;
  /** How long `connect` waits for the hub, ms. Default 5,000 for each address. */
  connectTimeoutMs?: number;
  /** With several addresses: when to go back to the first, ms (docs/scaling.md, 3). Default: never. */
  returnAfterMs?: number;
}

/** How much longer than the time to live a sender waits for the edge's answer, ms: the way there and back. */
const ANSWER_GRACE_MS = 2_000;
const DEFAULT_TTL_MS = 500;
/** What is lost with the end of an epoch that an interruption hid: nobody knows how many frames. */
const END_MISSED = { hub: null };
/** How often gaps are looked at, ms. */
const ORDER_TICK_MS = 100;

interface Pending {
  rows: { resolve(result: SendResult): void; reject(error: Error): void }[];
  timer: ReturnType<typeof setTimeout>;
}

/** Frames that were asked to be sent in this turn of the event loop with the same time to live: one request. */
interface Collected {
  frames: FrameBatch;
  ttlMs: number;
  rows: Pending["rows"];
}

/** A bus behind a hub, or with "+" several of them: the same API as `TCPBus`, over MQTT. Runs in browsers too. */
export class MqttBus extends BaseBus {
  readonly #hub: HubConnection;
  readonly #base: string;
  readonly #edge: string;
  readonly #bus: string;
  readonly #continuity = new Continuity();
  readonly #ends = new OpenEnds();
  readonly #order: CompleteOrder | undefined;
  #orderTimer: ReturnType<typeof setInterval> | undefined;
  #requests = 0;
  readonly #edgeClock = new HeardClock();
  readonly #pending = new Map<string, Pending>();
  readonly #control: BusControlClient | undefined;
  #collected: Collected | undefined;

  private constructor(urls: HubUrls, options: MqttBusOptions) {
    super(options);
    this.#base = options.base ?? DEFAULT_BASE;
    this.#edge = options.edge;
    this.#bus = options.bus;
    assertBase(this.#base);
    if (options.edge !== "+") assertEdgeName(options.edge);
    if (options.bus !== "+") assertBusName(options.bus);
    if (options.order === "complete") this.#order = this.#completeOrder(options);
    this.#hub = new HubConnection(urls, this.#hubOptions(options));
    if (options.edge !== "+" && options.bus !== "+") this.#control = this.#controlClient(options);
  }

  #hubOptions(options: MqttBusOptions): HubConnectionOptions {
    return {
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      tls: options.tls,
      returnAfterMs: options.returnAfterMs,
      onMessage: (topic, payload, retained) => this.#onMessage(topic, payload, retained),
      onConnect: () => {
        this.connected();
        this.#control?.restored();
      },
      onDisconnect: (reason) => {
        this.#control?.disconnected();
        this.#order?.cut();
        this.#ends.cut();
        this.disconnected(reason);
      },
    };
  }

  /**
   * Connects to a hub and subscribes; from then on it reconnects by itself.
   *
   * @param urls `mqtt://`, `mqtts://`, `ws://` or `wss://`. Several, in order of preference: the one that answers; another
   *   when that is gone. All must see the same edges: hubs that an edge itself fails over between, or nodes of one broker
   * @throws CanfleetError `HUB_UNREACHABLE`, `HUB_REFUSED`, `WIRE_BAD_TOPIC`, `CONFIG_INVALID`
   */
  static async connect(urls: HubUrls, options: MqttBusOptions): Promise<MqttBus> {
    const bus = new MqttBus(urls, options);
    try {
      await bus.#hub.ready(options.connectTimeoutMs);
      if (bus.#order) await bus.#hub.subscribe([bus.#topic("backfill"), bus.#topic("response")], 0);
      await bus.#hub.subscribe([bus.#topic("frames")], 0);
      await bus.#hub.subscribe([bus.#topic("sent")], 1);
      bus.#hearClock();
    } catch (error) {
      await bus.shutdown();
      throw error;
    }
    return bus;
  }

  /** Without it requests still go out: the edge then judges their age by the way alone. */
  #hearClock(): void {
    if (this.#edge === "+" || this.#bus === "+") return;
    this.#hub.subscribe([edgeTopic(this.#base, this.#edge, "ping")], 0).catch(() => undefined);
  }

  #controlClient(options: ControlClientOptions): BusControlClient {
    const host = {
      channel: `${this.#edge}/${this.#bus}`,
      clientId: this.#hub.clientId,
      subscribe: () => this.#hub.subscribe([this.#topic("response"), edgeTopic(this.#base, this.#edge, "state")], 0),
      publish: (request: string) => this.#hub.publish(this.#topic("request"), request),
      sendFromApp: (message: Message, periodMs: number) => super.sendPeriodic(message, periodMs),
      reportError: (error: Error) => this.reportError(error),
    };
    return new BusControlClient(host, options);
  }

  /**
   * What of the bus can be set from afar.
   *
   * @throws RangeError for a bus with "+"
   */
  get control(): BusControl {
    this.assertOpen();
    return this.#oneBus();
  }

  #oneBus(): BusControlClient {
    if (this.#control) return this.#control;
    throw new RangeError("control needs one edge and one bus, not +");
  }

  #completeOrder(options: CompleteOrderOptions): CompleteOrder {
    const order = new CompleteOrder(
      {
        deliver: (channel, payload, skip) => this.#deliverInOrder(channel, payload, skip),
        lost: (channel, { epoch, from, to, place }) =>
          this.reportLoss({ [place]: to - from }, channel, { epoch, from, to }),
        endMissed: (channel) => this.reportLoss(END_MISSED, channel),
        ask: (channel, epoch, from, to) => this.#ask(channel, epoch, from, to),
      },
      options,
    );
    this.#orderTimer = setInterval(() => order.tick(performance.now()), ORDER_TICK_MS);
    return order;
  }

  #topic(leaf: "frames" | "backfill" | "request" | "response" | "sent" | "send"): string {
    return busTopic(this.#base, this.#edge, this.#bus, leaf);
  }

  #onMessage(topic: string, payload: Uint8Array, retained: boolean): void {
    const parsed = parseTopic(this.#base, topic);
    if (parsed?.leaf === "ping" && !retained) {
      const ping = decodePing(payload);
      if (ping) this.#edgeClock.heard(ping);
    }
    if (parsed?.leaf === "state" && !retained) this.#onState(payload);
    if (parsed?.bus === undefined) return;
    const channel = `${parsed.edge}/${parsed.bus}`;
    try {
      if (parsed.leaf === "frames" || parsed.leaf === "backfill") this.#onFrames(channel, payload, parsed.leaf);
      else if (parsed.leaf === "response") this.#onResponse(channel, payload);
      else if (parsed.leaf === "sent" && this.#pending.size > 0) this.#onReport(decodeSendReport(payload));
    } catch (error) {
      this.reportError(error as Error);
    }
  }

  /** An edge that comes back has forgotten what it was asked to keep. */
  #onState(payload: Uint8Array): void {
    if (parseObject(payload)?.state === "online") this.#control?.edgeReturned();
  }

  #onFrames(channel: string, payload: Uint8Array, leaf: "frames" | "backfill"): void {
    if (this.#order) {
      this.#order.accept(channel, payload, leaf === "frames", performance.now());
      return;
    }
    const batch = decodeBatch(payload);
    const { repeated, lost } = this.#continuity.follow(channel, batch);
    if (repeated) return;
    batch.lost = lost;
    if (leaf === "frames" && this.#ends.heard(channel, batch.epoch)) this.reportLoss(END_MISSED, channel);
    this.deliver(batch, channel);
  }

  #deliverInOrder(channel: string, payload: Uint8Array, skip: number): void {
    try {
      const decoded = decodeBatch(payload);
      const batch = skip > 0 ? decoded.clone(skip) : decoded;
      // Numbered losses are told by the numbers themselves, each once.
      const lost = unnumbered(batch.lost);
      batch.lost = Object.keys(lost).length > 0 ? lost : undefined;
      this.deliver(batch, channel);
    } catch (error) {
      this.reportError(error as Error);
    }
  }

  #onResponse(channel: string, payload: Uint8Array): void {
    this.#control?.answered(payload);
    if (!this.#order) return;
    // Whoever asked: what is gone is gone for all.
    for (const range of decodeBackfillResponse(payload)?.gone ?? []) {
      this.#order.gone(channel, range, performance.now());
    }
  }

  #ask(channel: string, epoch: number, from: number, to: number): void {
    const [edge, bus] = channel.split("/") as [string, string];
    const id = `${this.#hub.clientId}-${this.#requests++}`;
    this.#hub.publish(busTopic(this.#base, edge, bus, "request"), encodeBackfillRequest({ id, epoch, from, to }));
  }

  /**
   * Asks the edge to send a frame. Resolves once the request is on its way to the hub; with `confirm` once the frame
   * was on the bus. A refusal that nobody waits for comes as an `error` event.
   *
   * @throws CanfleetError `HUB_UNREACHABLE` without a connection, `SEND_*` with the edge's answer, `SEND_NO_ANSWER` without
   * @throws RangeError for a bus with "+", or a time to live outside 1–60,000 ms
   */
  async send(message: Message, options: SendOptions = {}): Promise<SendResult> {
    const answered = this.#request([message.toParts()], options.ttlMs ?? DEFAULT_TTL_MS)[0]!;
    if (options.confirm) return answered;
    answered.catch((error: unknown) => this.reportError(error as Error));
    return { timestampUs: undefined };
  }

  /** Sends rows of a batch; refusals come as `error` events. */
  override async sendBatch(batch: FrameBatch, options: Pick<SendOptions, "ttlMs"> = {}): Promise<void> {
    for (let i = 0; i < batch.count; i++) {
      const [answered] = this.#request([batch.partsOf(i)], options.ttlMs ?? DEFAULT_TTL_MS);
      answered!.catch((error: unknown) => this.reportError(error as Error));
    }
    return Promise.resolve();
  }

  /**
   * Has the edge send again and again; this program's own timer does where the edge will not (an older one, or `control: none`).
   * A frame that may not be sent is an `error` event with `CONTROL_REFUSED`, and the task ends. It is made again after an outage.
   * When this program is gone the edge ends it within `periodicLeaseMs`.
   *
   * @param periodMs 1–3,600,000
   * @throws RangeError for another period, or a bus with "+"
   */
  override sendPeriodic(message: Message, periodMs: number): PeriodicTask {
    this.assertOpen();
    if (!(periodMs >= MIN_PERIOD_MS && periodMs <= MAX_PERIOD_MS))
      throw new RangeError(`a period is ${MIN_PERIOD_MS} to ${MAX_PERIOD_MS} ms, got ${periodMs}`);
    return this.#oneBus().sendPeriodic(message, periodMs);
  }

  #request(frames: FrameParts[], ttlMs: number): Promise<SendResult>[] {
    this.assertOpen();
    if (this.#edge === "+" || this.#bus === "+") throw new RangeError("sending needs one edge and one bus, not +");
    if (!(ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) throw new RangeError(`ttlMs must be 1 to ${MAX_TTL_MS}, got ${ttlMs}`);
    if (!this.#hub.isConnected) throw unreachable(this.#hub.url);
    return frames.map((frame) => {
      const collected = this.#collectedFor(ttlMs);
      collected.frames.push(frame);
      return new Promise<SendResult>((resolve, reject) => {
        collected.rows.push({ resolve, reject });
      });
    });
  }

  #collectedFor(ttlMs: number): Collected {
    const open = this.#collected;
    if (open?.ttlMs === ttlMs && open.frames.count < MAX_SEND_FRAMES) return open;
    this.#flush();
    const collected = { frames: new FrameBatch(MAX_SEND_FRAMES), ttlMs: Math.ceil(ttlMs), rows: [] };
    this.#collected = collected;
    queueMicrotask(() => this.#flush(collected));
    return collected;
  }

  #flush(only = this.#collected): void {
    const collected = this.#collected;
    if (!collected || collected !== only) return;
    this.#collected = undefined;
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    const request = encodeSendRequest(
      nonce,
      collected.ttlMs,
      collected.frames,
      0,
      collected.frames.count,
      this.#edgeClock.now(),
    );
    // QoS 0: a transport that repeats a request after an outage would make it stale, or do it twice.
    if (!this.#hub.publish(this.#topic("send"), request)) {
      for (const row of collected.rows) row.reject(unreachable(this.#hub.url));
      return;
    }
    const key = keyOf(nonce);
    const timer = setTimeout(() => this.#giveUp(key), collected.ttlMs + ANSWER_GRACE_MS);
    this.#pending.set(key, { rows: collected.rows, timer });
  }

  #giveUp(key: string): void {
    const pending = this.#pending.get(key);
    this.#pending.delete(key);
    const channel = `${this.#edge}/${this.#bus}`;
    for (const row of pending?.rows ?? []) {
      const text = `${channel}: no answer from the edge within the time to live: it may have been sent or not`;
      row.reject(new CanfleetError("SEND_NO_ANSWER", text));
    }
  }

  #onReport(report: SendReport): void {
    const key = keyOf(report.nonce);
    const pending = this.#pending.get(key);
    if (!pending) return;
    clearTimeout(pending.timer);
    this.#pending.delete(key);
    pending.rows.forEach((row, i) => {
      const code = report.results[i] ?? "failed";
      if (code === "sent") row.resolve({ timestampUs: report.timestampsUs[i] ?? undefined });
      else row.reject(sendError(code, `${this.#edge}/${this.#bus}`));
    });
  }

  override shutdown(): Promise<void> {
    this.#order?.finish();
    return super.shutdown();
  }

  protected async close(): Promise<void> {
    clearInterval(this.#orderTimer);
    this.#control?.close();
    this.#flush();
    for (const key of [...this.#pending.keys()]) {
      clearTimeout(this.#pending.get(key)?.timer);
      const rows = this.#pending.get(key)?.rows ?? [];
      this.#pending.delete(key);
      for (const row of rows)
        row.reject(new CanfleetError("LINK_CLOSED", "the bus was shut down before the edge answered"));
    }
    await this.#hub.close();
  }
}

/** Nonces come as plain or as Node's byte arrays, whose texts differ. */
function keyOf(nonce: Uint8Array): string {
  return Array.from(nonce).join();
}

function unreachable(url: string): CanfleetError {
  return new CanfleetError("HUB_UNREACHABLE", `hub ${url} is not connected; the frame was not queued`, {
    retryable: true,
  });
}
