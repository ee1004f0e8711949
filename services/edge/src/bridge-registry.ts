import { randomUUID } from "node:crypto";
import {
  bridgeTopic,
  CanfleetError,
  edgeTopic,
  HubConnection,
  type HubLogin,
  type HubTlsSource,
  type HubUrls,
} from "@canfleet/sdk";
import { findRing, type BridgeAnnouncement } from "./bridge-ring.ts";

/** How long the retained announcements of others are collected before a bridge decides, ms. */
const COLLECT_MS = 500;

/**
 * A bridge's place among the fleet's bridges: reads the announcements of all others, refuses to close a ring, and
 * announces its own for as long as it runs.
 */
export class BridgeRegistry {
  readonly #hub: HubConnection;
  readonly #base: string;
  readonly #topic: string;
  readonly #others = new Map<string, BridgeAnnouncement>();
  /** `host:NAME/can0` of a captured interface → `edge/bus`. */
  readonly #aliases = new Map<string, string>();
  #announced: BridgeAnnouncement | undefined;

  constructor(urls: HubUrls, base: string, login: HubLogin = {}, tls?: HubTlsSource) {
    this.#base = base;
    this.#topic = bridgeTopic(base, randomUUID());
    this.#hub = new HubConnection(urls, {
      ...login,
      tls,
      will: () => ({ topic: this.#topic, payload: "", retain: true }),
      onMessage: (topic, payload) => this.#onMessage(topic, payload),
      onConnect: () => this.#announce(),
    });
  }

  /**
   * Announces the bridge unless it would close a ring.
   *
   * @throws CanfleetError `BRIDGE_RING` naming the ring; `HUB_UNREACHABLE`, `HUB_REFUSED`
   */
  async join(bridge: BridgeAnnouncement): Promise<void> {
    await this.#hub.ready();
    await this.#hub.subscribe([bridgeTopic(this.#base, "+"), edgeTopic(this.#base, "+", "info")], 1);
    await new Promise((resolve) => setTimeout(resolve, COLLECT_MS));
    const own = this.#canonical(bridge);
    const ring = findRing(
      [...this.#others.values()].map((other) => this.#canonical(other)),
      own,
    );
    if (ring) {
      await this.#hub.close();
      throw new CanfleetError("BRIDGE_RING", `this bridge would close a ring: ${ring.join(" → ")}`);
    }
    this.#announced = own;
    this.#announce();
  }

  #announce(): void {
    if (!this.#announced) return;
    const announcement = JSON.stringify({ ...this.#announced, t: Date.now() * 1000 });
    this.#hub.publish(this.#topic, announcement, { qos: 1, retain: true });
  }

  #onMessage(topic: string, payload: Uint8Array): void {
    const text = new TextDecoder().decode(payload);
    if (topic.endsWith("/info")) this.#learnAliases(topic, text);
    else if (topic !== this.#topic) this.#learnBridge(topic, text);
  }

  #learnBridge(topic: string, text: string): void {
    const value = text === "" ? undefined : parseObject(text);
    const a = value?.a;
    const b = value?.b;
    if (typeof a === "string" && typeof b === "string") {
      this.#others.set(topic, { a, b, oneWay: value?.oneWay === true });
    } else {
      this.#others.delete(topic);
    }
  }

  /** An edge on a machine and a bridge on the same machine mean the same bus by different names. */
  #learnAliases(topic: string, text: string): void {
    const edge = topic.slice(this.#base.length + 1).split("/")[0] ?? "";
    const info = parseObject(text);
    const host = info?.hostId;
    const buses = info?.buses;
    if (typeof host !== "string" || typeof buses !== "object" || buses === null) return;
    for (const [bus, about] of Object.entries(buses as { [bus: string]: unknown })) {
      const channel = (about as { channel?: unknown } | null)?.channel;
      if (typeof channel === "string") this.#aliases.set(`host:${host}/${channel}`, `${edge}/${bus}`);
    }
  }

  #canonical(bridge: BridgeAnnouncement): BridgeAnnouncement {
    const name = (bus: string): string => this.#aliases.get(bus) ?? bus;
    return { a: name(bridge.a), b: name(bridge.b), oneWay: bridge.oneWay };
  }

  /** Clears the announcement. */
  async leave(): Promise<void> {
    this.#announced = undefined;
    this.#hub.publish(this.#topic, "", { qos: 1, retain: true });
    await this.#hub.close();
  }
}

function parseObject(text: string): { [key: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as { [key: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}
