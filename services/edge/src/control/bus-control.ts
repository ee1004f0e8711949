import {
  encodeControlResponse,
  readControlRequest,
  type BusSettings,
  type ControlCode,
  type ControlMode,
  type ControlRequest,
  type ControlResponse,
  type FrameBatch,
  type LiveSetting,
} from "@canfleet/sdk";
import { PeriodicSender, type PeriodicBus } from "./periodic-sender.ts";

/** How often leases are looked at, ms. */
const LEASE_TICK_MS = 100;

const SENTENCES: { [code in ControlCode]: string } = {
  "bad-request": "the request is not as it should be",
  "unknown-op": "this edge knows no such op",
  off: "the edge's configuration does not allow this from afar (control)",
  denied: "the edge does not allow this frame to be sent from here",
  "too-many": "the bus has 64 periodic sends already",
  "no-such-task": "there is no periodic send of this name",
  unsupported: "this bus cannot send the frame",
  failed: "it did not work",
};

/** What of a bus can be set from afar, and what the configuration says of it. */
export interface ControlledBus extends PeriodicBus {
  control: ControlMode;
  configured: { filters: string; latestHz: number | null; urgent: string };
  /** Take effect at once; empty or null: as configured. */
  apply: { filters(text: string): void; latest(hz: number | null): void; urgent(ids: string): void };
  /** Something is another than before. */
  onChange: () => void;
}

/** How long something that somebody holds is his. */
class Lease {
  #endMs: number;
  readonly by: string;
  readonly leaseMs: number | undefined;

  constructor(by: string, leaseMs: number | undefined) {
    this.by = by;
    this.leaseMs = leaseMs;
    this.#endMs = 0;
    this.renew();
  }

  renew(): void {
    this.#endMs = performance.now() + (this.leaseMs ?? Infinity);
  }

  get leftMs(): number | null {
    return this.leaseMs === undefined ? null : Math.max(0, Math.ceil(this.#endMs - performance.now()));
  }
}

type SettingName = "filters" | "latest" | "urgent";

/** Executes control requests of one bus and ends what is not renewed (docs/wire-mqtt.md 3.5). */
export class BusControl {
  /** Requests that could not be answered. */
  badRequests = 0;
  readonly periodic: PeriodicSender;
  readonly #bus: ControlledBus;
  readonly #leases = new Map<SettingName, Lease>();
  readonly #taskLeases = new Map<string, Lease>();
  #filters = "";
  #latestHz: number | null = null;
  #urgent = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(bus: ControlledBus) {
    this.#bus = bus;
    this.periodic = new PeriodicSender(bus);
  }

  /** Executes a message of the `request` topic. @returns the answer; undefined where none is due */
  requested(payload: Uint8Array): string | undefined {
    const read = readControlRequest(payload);
    if (read.kind === "other") return undefined;
    if (read.kind === "unanswerable") {
      this.badRequests++;
      return undefined;
    }
    return encodeControlResponse(read.kind === "problem" ? { ok: false, ...read.problem } : this.#answer(read.request));
  }

  #answer(request: ControlRequest): ControlResponse {
    const { id, op } = request;
    const code = this.#refusal(request) ?? this.#execute(request);
    if (code !== undefined) return { id, op, ok: false, code, error: SENTENCES[code] };
    this.#watch();
    if (op !== "get" && op !== "renew") this.#bus.onChange();
    return { id, op, ok: true, settings: this.settings() };
  }

  #refusal(request: ControlRequest): ControlCode | undefined {
    const { control } = this.#bus;
    if (request.op === "get" || control === "stay") return undefined;
    const stays = "leaseMs" in request && request.leaseMs === undefined;
    return control === "none" || stays ? "off" : undefined;
  }

  #execute(request: ControlRequest): ControlCode | undefined {
    switch (request.op) {
      case "get":
        return undefined;
      case "filters":
        this.#setFilters(request.filters);
        this.#hold("filters", request.filters !== "", request);
        return undefined;
      case "latest":
        this.#setLatest(request.hz);
        this.#hold("latest", request.hz !== null, request);
        return undefined;
      case "urgent":
        this.#setUrgent(request.ids);
        this.#hold("urgent", request.ids !== "", request);
        return undefined;
      case "periodic":
        return this.#start(request);
      case "stop":
        this.#taskLeases.delete(request.task);
        return this.periodic.stop(request.task) ? undefined : "no-such-task";
      case "renew":
        for (const lease of this.#allLeases()) if (lease.by === request.by) lease.renew();
        return undefined;
      case "release":
        this.#end((lease) => lease.by === request.by);
        return undefined;
    }
  }

  #start({ task, by, frame, periodMs, leaseMs }: ControlRequest & { op: "periodic" }): ControlCode | undefined {
    const code = this.periodic.start(task, by, frame, periodMs);
    if (code === undefined) this.#taskLeases.set(task, new Lease(by, leaseMs));
    return code;
  }

  #hold(name: SettingName, isSet: boolean, { by, leaseMs }: { by: string; leaseMs: number | undefined }): void {
    if (isSet) this.#leases.set(name, new Lease(by, leaseMs));
    else this.#leases.delete(name);
  }

  #setFilters(text: string): void {
    this.#filters = text;
    this.#bus.apply.filters(text);
  }

  #setLatest(hz: number | null): void {
    this.#latestHz = hz;
    this.#bus.apply.latest(hz);
  }

  #setUrgent(ids: string): void {
    this.#urgent = ids;
    this.#bus.apply.urgent(ids);
  }

  #allLeases(): Lease[] {
    return [...this.#leases.values(), ...this.#taskLeases.values()];
  }

  /** Gives back what `ends` names. @returns whether there was any */
  #end(ends: (lease: Lease) => boolean): boolean {
    let any = false;
    for (const [name, lease] of this.#leases) {
      if (!ends(lease)) continue;
      any = true;
      this.#leases.delete(name);
      if (name === "filters") this.#setFilters("");
      else if (name === "latest") this.#setLatest(null);
      else this.#setUrgent("");
    }
    for (const [task, lease] of this.#taskLeases) {
      if (!ends(lease)) continue;
      any = true;
      this.#taskLeases.delete(task);
      this.periodic.stop(task);
    }
    return any;
  }

  #watch(): void {
    if (this.#allLeases().length > 0) this.#timer ??= setInterval(() => this.#tick(), LEASE_TICK_MS);
  }

  #tick(): void {
    this.periodic.recheck();
    if (this.#end((lease) => lease.leftMs === 0)) this.#bus.onChange();
    if (this.#allLeases().length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  settings(): BusSettings {
    const { configured, control } = this.#bus;
    return {
      control,
      filters: this.#setting("filters", this.#filters, configured.filters),
      latest: this.#setting("latest", this.#latestHz, configured.latestHz),
      urgent: this.#setting("urgent", this.#urgent, configured.urgent),
      tasks: this.periodic.list().map((task) => ({
        ...task,
        leaseMs: this.#taskLeases.get(task.task)?.leftMs ?? null,
      })),
    };
  }

  #setting<T>(name: SettingName, value: T, configured: T): LiveSetting<T> {
    const lease = this.#leases.get(name);
    return { value, configured, by: lease?.by ?? null, leaseMs: lease?.leftMs ?? null };
  }

  /** What is not as configured, for `status`; undefined where nothing is. */
  changes(): object | undefined {
    const changes = {
      ...(this.#filters === "" ? {} : { filters: this.#filters }),
      ...(this.#latestHz === null ? {} : { latestHz: this.#latestHz }),
      ...(this.#urgent === "" ? {} : { urgent: this.#urgent }),
      ...(this.periodic.count === 0 ? {} : { tasks: this.periodic.count }),
    };
    return Object.keys(changes).length === 0 ? undefined : changes;
  }

  /** Frames of the bus, for the counts of periodic sends. */
  observe(batch: FrameBatch): void {
    this.periodic.observe(batch);
  }

  close(): void {
    clearInterval(this.#timer);
    this.periodic.close();
  }
}
