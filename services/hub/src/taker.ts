import {
  busTopic,
  decodePing,
  edgeTopic,
  encodeAck,
  encodeClockMessage,
  HubConnection,
  type HubLogin,
  type HubTls,
  type HubUrls,
  isCanfleetError,
  MAX_ACK_BUSES,
  messageOf,
  parseTopic,
  readBatchHeader,
  type Taken,
} from "@canfleet/sdk";
import type { HubLog } from "./log.ts";
import { TakenFrames } from "./taken.ts";

/** An edge is told at most this long after the first new frames, ms. */
const ACK_MS = 200;
/** The same while backfill comes in: its window moves on by acknowledgements. */
const BACKFILL_ACK_MS = 20;
/** Time to the next attempt when the broker did not take the subscriptions, ms. */
const RETRY_MS = 1_000;
/** Buses that are followed at most, so that strangers' topics cannot fill the memory. */
const MAX_BUSES = 10_000;

interface EdgeTaken {
  buses: Map<string, TakenFrames>;
  timer: NodeJS.Timeout | undefined;
  /** When the timer is due, by performance.now(). */
  dueAtMs: number;
}

/**
 * Acknowledges to edges what has arrived (docs/reliability.md, 3): a plain MQTT client, so that it works the same with any
 * broker.
 */
export class Taker {
  /** Messages on frame topics that were not batches. */
  badBatches = 0;
  /** Frames in all batches; those that came twice count twice. */
  takenFrames = 0;
  readonly #connection: HubConnection;
  readonly #base: string;
  readonly #log: HubLog;
  readonly #acknowledges: boolean;
  readonly #edges = new Map<string, EdgeTaken>();
  #buses = 0;
  #retry: NodeJS.Timeout | undefined;
  #subscribed = false;
  #closed = false;

  /**
   * @param login how the broker is told who this is. Default: not at all, or as the URL says
   * @param acknowledges false: a hub above does, here pings are answered only
   */
  constructor(urls: HubUrls, base: string, log: HubLog, login: HubLogin = {}, tls?: HubTls, acknowledges = true) {
    this.#acknowledges = acknowledges;
    this.#base = base;
    this.#log = log;
    this.#connection = new HubConnection(urls, {
      ...login,
      tls,
      onMessage: (topic, payload, retained) => this.#onMessage(topic, payload, retained),
      onDisconnect: (reason) => {
        if (!this.#closed) log("warn", `acknowledging: connection to the broker lost: ${reason}`);
      },
    });
  }

  get clientId(): string {
    return this.#connection.clientId;
  }

  /** Whether the broker can be talked to. */
  get isConnected(): boolean {
    return this.#connection.isConnected;
  }

  /** Whether it has subscribed to what it follows. */
  get isSubscribed(): boolean {
    return this.#subscribed;
  }

  /**
   * Subscribes once the broker answers.
   *
   * @throws CanfleetError `HUB_UNREACHABLE`, `HUB_REFUSED`
   */
  async start(): Promise<void> {
    await this.#connection.ready();
    const filters = [edgeTopic(this.#base, "+", "ping")];
    if (this.#acknowledges) {
      filters.push(busTopic(this.#base, "+", "+", "frames"), busTopic(this.#base, "+", "+", "backfill"));
    }
    await this.#connection.subscribe(filters, 0);
    this.#subscribed = true;
  }

  /**
   * Acknowledges at once everything that the broker has taken, and waits until the broker has the acknowledgements.
   * Returns early when the broker cannot be talked to.
   */
  async flush(): Promise<void> {
    if (!this.#subscribed || !this.isConnected) return;
    await this.#answered(1);
    for (const [edge, state] of this.#edges) {
      clearTimeout(state.timer);
      this.#acknowledge(edge, state);
    }
    await this.#answered(2);
  }

  /**
   * Asks the broker something: the answer comes behind everything that it had for us before. The question is a
   * subscription that nothing matches; a new one each time, because the library does not ask twice for the same.
   */
  async #answered(question: number): Promise<void> {
    // A refusal is an answer, too.
    await this.#connection.subscribe([`${this.#base}/_flush/${question}`], 0).catch(() => undefined);
  }

  /** Like `start`, again and again until it works: for a broker that may come later. */
  startWhenReachable(): void {
    this.start().catch((error: unknown) => {
      if (this.#closed) return;
      this.#log("warn", messageOf(error));
      this.#retry = setTimeout(() => this.startWhenReachable(), RETRY_MS);
    });
  }

  #onMessage(topic: string, payload: Uint8Array, retained: boolean): void {
    const parsed = parseTopic(this.#base, topic);
    if (parsed?.leaf === "ping" && !retained) this.#answerPing(parsed.edge, payload);
    if (parsed?.bus === undefined) return;
    try {
      const { epoch, seq, count } = readBatchHeader(payload);
      const taken = this.#take(parsed.edge, parsed.bus);
      if (!taken) return;
      taken.add(epoch, seq, seq + count);
      this.takenFrames += count;
      this.#schedule(parsed.edge, parsed.leaf === "backfill" ? BACKFILL_ACK_MS : ACK_MS);
    } catch (error) {
      if (!isCanfleetError(error)) throw error;
      this.badBatches++;
    }
  }

  #answerPing(edge: string, payload: Uint8Array): void {
    const ping = decodePing(payload);
    if (!ping) return;
    const pong = encodeClockMessage({ ...ping, hub: Date.now() * 1000 });
    this.#connection.publish(edgeTopic(this.#base, edge, "pong"), pong);
  }

  #take(edge: string, bus: string): TakenFrames | undefined {
    const known = this.#edges.get(edge)?.buses.get(bus);
    if (known || this.#buses >= MAX_BUSES) return known;
    const taken = new TakenFrames();
    let buses = this.#edges.get(edge)?.buses;
    if (!buses)
      this.#edges.set(edge, { buses: (buses = new Map<string, TakenFrames>()), timer: undefined, dueAtMs: Infinity });
    buses.set(bus, taken);
    this.#buses++;
    return taken;
  }

  #schedule(edge: string, delayMs: number): void {
    const state = this.#edges.get(edge);
    const dueAtMs = performance.now() + delayMs;
    if (!state || state.dueAtMs <= dueAtMs) return;
    clearTimeout(state.timer);
    state.dueAtMs = dueAtMs;
    state.timer = setTimeout(() => this.#acknowledge(edge, state), delayMs);
  }

  #acknowledge(edge: string, state: EdgeTaken): void {
    state.dueAtMs = Infinity;
    const ack = new Map<string, Taken[]>();
    for (const [bus, frames] of state.buses) {
      const taken = frames.takeChanges();
      if (taken.length > 0) ack.set(bus, taken);
    }
    // An edge with more buses than one acknowledgement holds gets several.
    const buses = [...ack];
    for (let i = 0; i < buses.length; i += MAX_ACK_BUSES) {
      this.#connection.publish(
        edgeTopic(this.#base, edge, "ack"),
        encodeAck(new Map(buses.slice(i, i + MAX_ACK_BUSES))),
      );
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const { timer } of this.#edges.values()) clearTimeout(timer);
    await this.#connection.close();
  }
}
