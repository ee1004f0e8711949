import assert from "node:assert/strict";
import { Hub } from "@canfleet/hub";
import { Edge, type BusConfig } from "@canfleet/edge";
import { HubConnection } from "@canfleet/sdk";

/** Conditions are waited for; only a test that fails comes near this. */
const LIMIT_MS = 20_000;

/** The parts of `status` that these tests look at (docs/wire-mqtt.md 3.3). */
export interface Status {
  state: string;
  busState: string | null;
  errors: { frames: number; tx: number | null; rx: number | null; restarts: number };
  bitrate: number | null;
  dataBitrate: number | null;
  loadPercent: number | null;
}

/** A hub, an edge with some buses, and a plain MQTT client that keeps what the edge publishes. */
export class StatusWatcher {
  /** Each status of each bus, in order. */
  readonly statuses = new Map<string, Status[]>();
  /** The newest `info`. */
  info: { buses: { [bus: string]: { [field: string]: unknown } } } | undefined;
  readonly #closers: (() => Promise<void>)[] = [];

  static async start(buses: BusConfig[]): Promise<StatusWatcher> {
    const watcher = new StatusWatcher();
    const hub = await Hub.start({ listen: { host: "127.0.0.1", port: 0 }, http: false });
    watcher.#closers.unshift(() => hub.close());
    const client = new HubConnection(hub.mqttUrl, {
      onMessage: (topic, payload) => watcher.#onMessage(topic, JSON.parse(new TextDecoder().decode(payload))),
    });
    watcher.#closers.unshift(() => client.close());
    await client.ready();
    await client.subscribe(["canfleet/+/+/status", "canfleet/+/info"], 1);
    const edge = await Edge.start({ name: "pi-7", hub: hub.mqttUrl, buses });
    watcher.#closers.unshift(() => edge.close());
    return watcher;
  }

  #onMessage(topic: string, content: unknown): void {
    const [, , busOrInfo = "", leaf] = topic.split("/");
    if (leaf === "status") this.statuses.set(busOrInfo, [...(this.statuses.get(busOrInfo) ?? []), content as Status]);
    else this.info = content as NonNullable<StatusWatcher["info"]>;
  }

  /** The first status of a bus from now on that is as it should be. */
  async next(bus: string, wanted: (status: Status) => boolean): Promise<Status> {
    const from = this.statuses.get(bus)?.length ?? 0;
    return this.find(bus, wanted, from);
  }

  /** The first status of a bus, from the given one on, that is as it should be. */
  async find(bus: string, wanted: (status: Status) => boolean, from = 0): Promise<Status> {
    let found: Status | undefined;
    await until(
      () => (found = this.statuses.get(bus)?.slice(from).find(wanted)) !== undefined,
      () => `a status of ${bus}; the last is ${JSON.stringify(this.statuses.get(bus)?.at(-1))}`,
    );
    return found!;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
  }
}

/** Waits for a condition, for as long as it takes. */
export async function until(condition: () => boolean, what: () => string): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!condition()) {
    if (Date.now() > endMs) assert.fail(`waited ${LIMIT_MS} ms for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
