import { addLoss, filterBatch, FLAG_OWN, type CanFilter, type FrameBatch, type Losses } from "@canfleet/sdk";
import { BusMonitor } from "./bus-monitor.ts";
import { BusTransmitter } from "./bus-transmitter.ts";
import type { CanInterface, CanSink, LinkState } from "./can-interface.ts";
import type { CheckedBus } from "./config.ts";
import { LatestValues } from "./latest-values.ts";
import { Refusals } from "./refusals.ts";
import type { EdgeLog } from "./log.ts";

/** Where a relay's numbered frames go: a raw link, the batcher towards the hub, a program. */
export interface Outlet {
  /** Called for each batch; it is used again after the call. */
  publish(batch: FrameBatch): void;
}

export interface RelayCounters {
  /** Frames read from the bus, own ones included. */
  received: number;
  /** Own frames among them. */
  own: number;
}

export interface RelayEvents {
  log: EdgeLog;
  /** The interface came up, went down or away. */
  onLink: () => void;
  /** The controller's state is another one; at most 10 times a second. */
  onBusState: () => void;
  /** The controller's settings became known or changed. */
  onController: () => void;
  /** A bus that has an end has ended. */
  onEnd: () => void;
  /** Whether nothing may be sent now. Default: never. */
  isSendOff?: () => boolean;
}

/**
 * One bus: reads it, numbers its frames, hands them to the outlets, and owns the way back.
 *
 *     kernel → driver → [live filters] → [latest values] → number (epoch, seq, lost) → raw links
 *                   ↘ echoes → transmitter ← send orders              ↘ batcher → hub
 *                   ↘ error frames, lengths → monitor → status
 */
export class BusRelay {
  readonly name: string;
  readonly counters: RelayCounters = { received: 0, own: 0 };
  readonly transmitter: BusTransmitter;
  readonly monitor: BusMonitor;
  /** What was not sent, by reason. */
  readonly refusals: Refusals;
  /** Frames lost before the driver, by place, since the epoch began; null: not known. */
  readonly lost: Losses = {};
  link: { state: LinkState; reason: string } = { state: "gone", reason: "not opened yet" };
  /** µs since 1970 at which this capture started; the last digits by chance, for machines that start at the same hour. */
  readonly epoch = Date.now() * 1000 + Math.floor(Math.random() * 1000);
  /** Number of the next frame. */
  seq = 0;
  readonly #can: CanInterface;
  readonly #events: RelayEvents;
  readonly #outlets: Outlet[] = [];
  /** Frames that live filters left out. */
  filtered = 0;
  readonly #configuredHz: number | undefined;
  #latest: LatestValues | undefined;
  #skippedBefore = 0;
  #liveFilters: readonly CanFilter[] = [];
  #observer: ((batch: FrameBatch) => void) | undefined;
  #lostBefore: Losses | undefined;

  constructor(can: CanInterface, bus: CheckedBus, events: RelayEvents) {
    this.name = bus.name;
    this.#can = can;
    this.#events = events;
    this.refusals = new Refusals(bus.name, events.log);
    this.transmitter = new BusTransmitter(can, bus.send, bus.filters, {
      maxSendHz: bus.maxSendHz,
      isOff: events.isSendOff,
      refusals: this.refusals,
    });
    this.monitor = new BusMonitor(can, {
      isFiltered: bus.filters.length > 0,
      sentFrames: () => this.transmitter.counters.sent,
      onState: () => this.#onBusState(),
      onController: () => events.onController(),
    });
    this.#configuredHz = bus.latestHz;
    this.setLatest(null);
    if (bus.filters.length > 0) can.setFilters(bus.filters);
  }

  get can(): CanInterface {
    return this.#can;
  }

  /** Frames that the latest-value mode replaced by newer ones. */
  get skipped(): number {
    return this.#skippedBefore + (this.#latest?.skipped ?? 0);
  }

  /** Relays only frames that pass, besides the configured filters, which the driver applies; none: all of those. */
  setLiveFilters(filters: readonly CanFilter[]): void {
    this.#liveFilters = filters;
  }

  /** Hands on the newest frame of each id so often, Hz, but not more often than configured; null: as configured. */
  setLatest(hz: number | null): void {
    const wantedHz = Math.min(hz ?? Infinity, this.#configuredHz ?? Infinity);
    const before = this.#latest;
    before?.close();
    this.#skippedBefore += before?.skipped ?? 0;
    this.#latest = wantedHz === Infinity ? undefined : new LatestValues(wantedHz, (batch) => this.#number(batch));
  }

  /** Shows everything that the driver reads, before it is filtered; the batch is used again after the call. */
  setObserver(observer: (batch: FrameBatch) => void): void {
    this.#observer = observer;
  }

  addOutlet(outlet: Outlet): void {
    this.#outlets.push(outlet);
  }

  /** @throws CanfleetError `CAN_*` when the bus cannot be opened */
  async open(): Promise<void> {
    const sink: CanSink = {
      frames: (batch) => this.#onFrames(batch),
      lost: (frames) => this.#onLost(frames),
      link: (state, reason) => this.#onLink(state, reason),
      warning: (text) => this.#events.log(`${this.name}: ${text}`, "warn"),
      end: () => this.#events.onEnd(),
    };
    await this.#can.open(sink);
    if (this.link.state === "gone") this.link = { state: "up", reason: "opened" };
    this.monitor.link(this.link.state);
  }

  #onFrames(batch: FrameBatch): void {
    this.counters.received += batch.count;
    for (let i = 0; i < batch.count; i++) {
      if (batch.flags[i]! & FLAG_OWN) this.counters.own++;
    }
    this.transmitter.observe(batch);
    this.monitor.frames(batch);
    this.#observer?.(batch);
    const passed = filterBatch(batch, this.#liveFilters);
    this.filtered += batch.count - passed.count;
    if (passed.count === 0) return;
    if (this.#latest) this.#latest.add(passed);
    else this.#number(passed);
  }

  #number(batch: FrameBatch): void {
    batch.epoch = this.epoch;
    batch.seq = this.seq;
    this.seq += batch.count;
    batch.lost = this.#lostBefore;
    this.#lostBefore = undefined;
    for (const outlet of this.#outlets) outlet.publish(batch);
  }

  #onLost(frames: number | null): void {
    this.monitor.lost(frames);
    addLoss(this.lost, "kernel", frames);
    this.#lostBefore ??= {};
    addLoss(this.#lostBefore, "kernel", frames);
  }

  #onLink(state: LinkState, reason: string): void {
    this.link = { state, reason };
    this.#events.log(`${this.name}: interface ${state} (${reason})`, state === "up" ? "info" : "warn");
    if (state !== "up") this.transmitter.linkLost();
    this.monitor.link(state);
    this.#events.onLink();
  }

  #onBusState(): void {
    const { state } = this.monitor.state;
    if (state !== null) this.#events.log(`${this.name}: bus is ${state}`, state === "error-active" ? "info" : "warn");
    this.#events.onBusState();
  }

  async close(): Promise<void> {
    await this.#can.close();
    this.monitor.close();
    this.#latest?.close();
    this.transmitter.close();
    this.refusals.close();
  }
}
