import type { PeriodicTask } from "../bus.ts";
import type { Message } from "../can/message.ts";
import { CanfleetError, isCanfleetError } from "../errors.ts";
import { DEFAULT_LEASE_MS, encodeControlRequest, type Tenure } from "./control-request.ts";
import type { BusSettings } from "./control-response.ts";
import { ControlRequester, type ControlCarrier, type ControlQuestion } from "./control-requester.ts";
import { EdgePeriodicTask } from "./edge-periodic-task.ts";

/** How long a setting lasts. */
export interface ControlTenure {
  /** It ends this long after the bus object was last connected, ms, 1,000–3,600,000. Default 10,000. */
  leaseMs?: number;
  /** It lasts until the edge restarts, even when this bus is shut down; the edge must allow it. Default false. */
  stay?: boolean;
}

/**
 * What of a bus can be set from afar (docs/wire-mqtt.md 3.5). A setting is the bus's, for all who hear it. It is renewed while
 * the bus object is connected, made again after an outage, and given back at `shutdown`. When another takes it over, an
 * `error` event says so with `CONTROL_LOST`.
 *
 * Each call gives the settings afterwards, or rejects with a `ControlError` (`CONTROL_REFUSED`), a CanfleetError
 * `CONTROL_NO_ANSWER`, `HUB_UNREACHABLE`, `HUB_REFUSED` or `LINK_CLOSED`, or a RangeError for a wrong value.
 */
export interface BusControl {
  /** The settings and periodic sends as they are. */
  get(): Promise<BusSettings>;
  /** The edge relays only what passes, besides its own filters: candump's notation (`parseFilters`). "": as configured. */
  setFilters(filters: string, tenure?: ControlTenure): Promise<BusSettings>;
  /** The newest frame of each id, `hz` times a second, 0.1–1,000. null: as configured. */
  setLatest(hz: number | null, tenure?: ControlTenure): Promise<BusSettings>;
  /** Frames that match are handed on at once, besides the configured ones: candump's notation. "": as configured. */
  setUrgent(ids: string, tenure?: ControlTenure): Promise<BusSettings>;
}

/** What the client needs of its bus. */
export interface ControlHost extends ControlCarrier {
  sendFromApp(message: Message, periodMs: number): PeriodicTask;
  reportError(error: Error): void;
}

export interface ControlClientOptions {
  /** Lease of periodic sends, ms, 1,000–3,600,000: the edge ends them this long after the app is gone. Default 10,000. */
  periodicLeaseMs?: number;
  /** How long an edge's answer to a control request is waited for, ms. Default 5,000. */
  controlTimeoutMs?: number;
}

type SettingQuestion = ControlQuestion & { op: "filters" | "latest" | "urgent" };
interface Held {
  question: SettingQuestion;
  leaseMs: number;
  /** Renewals in a row that did not find it. */
  missing: number;
}

/** Controls one bus and keeps what it asked for alive. */
export class BusControlClient implements BusControl {
  readonly #host: ControlHost;
  readonly #by: string;
  readonly #requester: ControlRequester;
  readonly #periodicLeaseMs: number;
  readonly #held = new Map<SettingQuestion["op"], Held>();
  readonly #tasks = new Map<string, EdgePeriodicTask>();
  #taskCount = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #shortestLeaseMs = Infinity;
  /** When the newest renewal that was answered was sent, ms. */
  #renewedMs = -Infinity;

  constructor(host: ControlHost, options: ControlClientOptions) {
    this.#host = host;
    this.#by = host.clientId;
    this.#requester = new ControlRequester(host, options.controlTimeoutMs ?? 5_000);
    this.#periodicLeaseMs = options.periodicLeaseMs ?? DEFAULT_LEASE_MS;
  }

  get(): Promise<BusSettings> {
    return this.#requester.ask({ op: "get" });
  }

  setFilters(filters: string, tenure: ControlTenure = {}): Promise<BusSettings> {
    return this.#set({ op: "filters", filters, ...this.#tenure(tenure) }, filters !== "");
  }

  setLatest(hz: number | null, tenure: ControlTenure = {}): Promise<BusSettings> {
    return this.#set({ op: "latest", hz, ...this.#tenure(tenure) }, hz !== null);
  }

  setUrgent(ids: string, tenure: ControlTenure = {}): Promise<BusSettings> {
    return this.#set({ op: "urgent", ids, ...this.#tenure(tenure) }, ids !== "");
  }

  #tenure({ leaseMs, stay }: ControlTenure): Tenure {
    // What stays is another owner's, so that `release` at the end leaves it alone.
    if (stay) return { by: `${this.#by}-stay`, leaseMs: undefined };
    return { by: this.#by, leaseMs: leaseMs ?? DEFAULT_LEASE_MS };
  }

  async #set(question: SettingQuestion, isSet: boolean): Promise<BusSettings> {
    const settings = await this.#requester.ask(question);
    const { leaseMs } = question;
    if (isSet && leaseMs !== undefined) this.#held.set(question.op, { question, leaseMs, missing: 0 });
    else this.#held.delete(question.op);
    this.#schedule();
    return settings;
  }

  /** Begins a periodic send that the edge keeps; the app where it will not. */
  sendPeriodic(message: Message, periodMs: number): PeriodicTask {
    const name = `${this.#by}-${this.#taskCount++}`;
    const tenure = { by: this.#by, leaseMs: this.#periodicLeaseMs };
    const task = new EdgePeriodicTask(message, {
      keep: async (frame) => {
        const { tasks } = await this.#requester.ask({ op: "periodic", task: name, frame, periodMs, ...tenure });
        return tasks.find((kept) => kept.task === name);
      },
      stopAtEdge: () => this.#stopAtEdge(name),
      sendFromApp: (current) => this.#host.sendFromApp(current, periodMs),
      reportError: (error) => this.#host.reportError(error),
      changed: () => {
        if (task.isEnded) this.#tasks.delete(name);
        this.#schedule();
      },
    });
    this.#tasks.set(name, task);
    task.make();
    return task;
  }

  #stopAtEdge(task: string): void {
    // Whether it was there does not matter; what the edge did not hear ends with its lease, or below at the next renewal.
    this.#requester.ask({ op: "stop", task }).catch(() => undefined);
  }

  #schedule(): void {
    const leases = [...this.#held.values()].map(({ leaseMs }) => leaseMs);
    const atEdge = [...this.#tasks.values()].some(({ keptBy }) => keptBy === "kernel" || keptBy === "edge");
    if (atEdge) leases.push(this.#periodicLeaseMs);
    const shortestMs = Math.min(...leases);
    if (shortestMs === this.#shortestLeaseMs) return;
    this.#shortestLeaseMs = shortestMs;
    clearInterval(this.#timer);
    if (leases.length > 0) this.#timer = setInterval(() => void this.#renew(), shortestMs / 3);
  }

  async #renew(): Promise<void> {
    const sentMs = performance.now();
    try {
      this.#compare(await this.#requester.ask({ op: "renew", by: this.#by }));
      this.#renewedMs = Math.max(this.#renewedMs, sentMs);
    } catch {
      // The next one may get through; an outage ends with everything made again.
    }
  }

  #compare(settings: BusSettings): void {
    const mayHaveLapsed = performance.now() - this.#renewedMs > this.#shortestLeaseMs;
    for (const held of [...this.#held.values()]) this.#compareSetting(held, settings, mayHaveLapsed);
    const kept = new Map(settings.tasks.map((task) => [task.task, task]));
    for (const [name, task] of [...this.#tasks]) if (task.renewed(kept.get(name), mayHaveLapsed)) task.make();
    for (const { task, by } of settings.tasks) if (by === this.#by && !this.#tasks.has(task)) this.#stopAtEdge(task);
  }

  #compareSetting(held: Held, settings: BusSettings, mayHaveLapsed: boolean): void {
    const { op } = held.question;
    const { by } = settings[op];
    if (by === this.#by) held.missing = 0;
    else if (by === null && mayHaveLapsed) void this.#setAgain(held);
    // Nobody's, once: may be an edge that was just restarted, which says so itself.
    else if (by !== null || ++held.missing >= 2) {
      this.#lose(held, new CanfleetError("CONTROL_LOST", `${this.#host.channel}: another changed "${op}"`));
    }
  }

  #lose(held: Held, error: Error): void {
    if (this.#held.get(held.question.op) !== held) return;
    this.#held.delete(held.question.op);
    this.#schedule();
    this.#host.reportError(error);
  }

  async #setAgain(held: Held): Promise<void> {
    try {
      await this.#requester.ask(held.question);
      held.missing = 0;
    } catch (error) {
      if (isCanfleetError(error, "CONTROL_REFUSED")) this.#lose(held, error);
    }
  }

  /** The edge has come back: asks again what it did not hear, and makes everything again. */
  edgeReturned(): void {
    this.#requester.repeat();
    this.restored();
  }

  /** The hub is connected: makes everything again that should be there. */
  restored(): void {
    for (const held of this.#held.values()) void this.#setAgain(held);
    for (const task of this.#tasks.values()) task.make();
  }

  disconnected(): void {
    this.#requester.disconnected();
  }

  /** Takes a message of the bus's `response` topic. */
  answered(payload: Uint8Array): void {
    this.#requester.answered(payload);
  }

  /** Gives back what is held, as far as the hub can be reached. */
  close(): void {
    const holds = this.#shortestLeaseMs < Infinity || this.#tasks.size > 0;
    clearInterval(this.#timer);
    for (const task of [...this.#tasks.values()]) task.stop();
    this.#requester.close();
    this.#held.clear();
    this.#schedule();
    const release = { id: `${this.#by}-end`, op: "release", by: this.#by } as const;
    if (holds) this.#host.publish(encodeControlRequest(release));
  }
}
