import { randomUUID } from "node:crypto";
import {
  bridgeTopic,
  busTopic,
  edgeTopic,
  HubConnection,
  messageOf,
  parseTopic,
  type HubLogin,
  type HubTls,
  type HubUrls,
} from "@canfleet/sdk";
import { numberField, parseJsonObject, textField, textsField } from "./json-fields.ts";
import type { HubLog } from "./log.ts";

/** Where one end of the bridge connects, and as whom. */
export interface UpstreamEnd {
  urls: HubUrls;
  login: HubLogin;
  tls: HubTls | undefined;
}

export interface UpstreamOptions {
  base: string;
  /** The broker of this hub. */
  own: UpstreamEnd;
  /** The broker of the hub above. */
  parent: UpstreamEnd;
  log: HubLog;
}

/** Messages since the start. */
export interface UpstreamCounts {
  up: number;
  down: number;
  /** Not forwarded: no connection, too much waits, retained where that is refused, a ring, or no room to remember. */
  dropped: number;
}

/** What goes up, and is kept there for later subscribers. */
const KEPT_LEAVES: ReadonlySet<string> = new Set(["state", "info", "status"]);
/** Kept messages that are remembered, to be said again to a parent that was away. */
const MAX_KEPT = 20_000;
const MAX_KEPT_BYTES = 64 * 1024;
/** How long a new connection only looks for rings, ms. */
const LOOK_MS = 1_000;
const RETRY_MS = 1_000;
const ANNOUNCED = "hub.";
/** Hubs that one announcement may name. */
const MAX_HUBS = 256;

/**
 * Forwards what this hub's edges say to the hub above, and what is asked of them there down to them, so that a subscriber
 * above sees one fleet (docs/scaling.md, 7). Topics that go up never come down and the other way round, so nothing turns
 * around here; a ring of hubs is found by their announcements, and stops forwarding.
 */
export class Upstream {
  readonly counts: UpstreamCounts = { up: 0, down: 0, dropped: 0 };
  readonly #options: UpstreamOptions;
  readonly #id = randomUUID();
  readonly #own: HubConnection;
  readonly #parent: HubConnection;
  readonly #kept = new Map<string, Uint8Array>();
  /** Sessions of this hub's edges that are online, by name. */
  readonly #online = new Map<string, number>();
  /** Newest sessions above, by edge. */
  readonly #above = new Map<string, number>();
  /** Hubs below this one, by their announcement. */
  readonly #below = new Map<string, string[]>();
  #announced = "";
  #isForwarding = false;
  #isRing = false;
  #look: NodeJS.Timeout | undefined;
  readonly #retries = new Set<NodeJS.Timeout>();
  #closed = false;

  /** Begins to connect to both ends, and tries for ever. */
  constructor(options: UpstreamOptions) {
    this.#options = options;
    const { own, parent, base, log } = options;
    this.#own = new HubConnection(own.urls, {
      ...own.login,
      tls: own.tls,
      onMessage: (topic, payload) => this.#fromBelow(topic, payload),
    });
    this.#parent = new HubConnection(parent.urls, {
      ...parent.login,
      tls: parent.tls,
      will: () => ({ topic: bridgeTopic(base, `${ANNOUNCED}${this.#id}`), payload: "", retain: true }),
      onMessage: (topic, payload, retained) => this.#fromAbove(topic, payload, retained),
      onConnect: () => this.#onParent(),
      onDisconnect: (reason) => {
        this.#pause();
        log("warn", `the hub above, ${this.#parent.url}, is lost: ${reason}`);
      },
    });
    const up = ["frames", "backfill", "status", "sent", "response"] as const;
    this.#subscribe(this.#own, [
      bridgeTopic(base, "+"),
      ...(["state", "info", "ping"] as const).map((leaf) => edgeTopic(base, "+", leaf)),
      ...up.map((leaf) => busTopic(base, "+", "+", leaf)),
    ]);
    this.#subscribe(this.#parent, [
      edgeTopic(base, "+", "state"),
      edgeTopic(base, "+", "ack"),
      busTopic(base, "+", "+", "request"),
      busTopic(base, "+", "+", "send"),
    ]);
  }

  /** Whether the hub above can be talked to. */
  get isConnected(): boolean {
    return this.#parent.isConnected;
  }

  #subscribe(connection: HubConnection, filters: string[]): void {
    const attempt = async (): Promise<void> => {
      await connection.ready();
      await connection.subscribe(filters, 0);
    };
    attempt().catch((error: unknown) => {
      if (this.#closed) return;
      this.#options.log("warn", `upstream: ${messageOf(error)}`);
      const timer = setTimeout(() => {
        this.#retries.delete(timer);
        this.#subscribe(connection, filters);
      }, RETRY_MS);
      this.#retries.add(timer);
    });
  }

  /** A hub above that was away, or another one, may know nothing. */
  #onParent(): void {
    this.#options.log("info", `the hub above is ${this.#parent.url}`);
    this.#above.clear();
    this.#announced = "";
    this.#announce();
    clearTimeout(this.#look);
    this.#look = setTimeout(() => {
      this.#isForwarding = true;
      for (const [topic, payload] of this.#kept) this.#up(topic, payload, true);
    }, LOOK_MS);
  }

  #pause(): void {
    clearTimeout(this.#look);
    this.#isForwarding = false;
  }

  #announce(): void {
    const hubs = [...new Set([this.#id, ...[...this.#below.values()].flat()])].slice(0, MAX_HUBS);
    const topic = bridgeTopic(this.#options.base, `${ANNOUNCED}${this.#id}`);
    const announcement = JSON.stringify({ hubs });
    // In a ring each announcement calls for the next one, until nothing changes.
    if (announcement === this.#announced) return;
    if (this.#parent.publish(topic, announcement, { qos: 1, retain: true })) this.#announced = announcement;
  }

  /** Another hub says that it, and those below it, have this hub above them. */
  #onAnnouncement(id: string, payload: Uint8Array): void {
    const hubs = textsField(parseJsonObject(payload) ?? {}, "hubs", MAX_HUBS);
    if (hubs.length > 0 && (this.#below.has(id) || this.#below.size < MAX_HUBS)) this.#below.set(id, hubs);
    else this.#below.delete(id);
    const through = [...this.#below.entries()].find(([, named]) => named.includes(this.#id))?.[0];
    const wasRing = this.#isRing;
    this.#isRing = through !== undefined;
    if (this.#isRing && !wasRing) {
      const ring = [this.#id, this.#parent.url, through, this.#id].join(" → ");
      this.#options.log("error", `upstream: hubs form a ring, nothing is forwarded: ${ring}`);
    } else if (wasRing && !this.#isRing) {
      this.#options.log("info", "upstream: the ring of hubs is open again");
      for (const [topic, kept] of this.#kept) this.#up(topic, kept, true);
    }
    this.#announce();
  }

  #fromBelow(topic: string, payload: Uint8Array): void {
    const announced = bridgeTopic(this.#options.base, ANNOUNCED);
    if (topic.startsWith(announced)) {
      this.#onAnnouncement(topic.slice(announced.length), payload);
      return;
    }
    const parsed = parseTopic(this.#options.base, topic);
    // Other announcements, of bridges between buses, go up as they are.
    if (!parsed) this.#keepAndForward(topic, payload);
    else if (parsed.leaf === "state") this.#onOwnState(parsed.edge, topic, payload);
    else if (KEPT_LEAVES.has(parsed.leaf)) this.#keepAndForward(topic, payload);
    else this.#up(topic, payload, false);
  }

  /** An edge that went over to another hub is online there: the will that it left here is no news above. */
  #onOwnState(edge: string, topic: string, payload: Uint8Array): void {
    const { session, state } = readState(payload);
    if (state === "online") this.#online.set(edge, session);
    else this.#online.delete(edge);
    if (state !== "offline" || session >= (this.#above.get(edge) ?? 0)) this.#keepAndForward(topic, payload);
    else this.#kept.delete(topic);
  }

  #keepAndForward(topic: string, payload: Uint8Array): void {
    if (payload.length === 0) this.#kept.delete(topic);
    else if (payload.length <= MAX_KEPT_BYTES && (this.#kept.has(topic) || this.#kept.size < MAX_KEPT)) {
      this.#kept.set(topic, payload.slice());
    } else {
      this.#counts("dropped");
      return;
    }
    this.#up(topic, payload, true);
  }

  #up(topic: string, payload: Uint8Array, keep: boolean): void {
    const mayGo = this.#isForwarding && !this.#isRing;
    const sent = topic.endsWith("/sent") || keep;
    const isTaken = mayGo && this.#parent.publish(topic, payload, { qos: sent ? 1 : 0, retain: keep });
    this.#counts(isTaken ? "up" : "dropped");
  }

  #fromAbove(topic: string, payload: Uint8Array, retained: boolean): void {
    const parsed = parseTopic(this.#options.base, topic);
    if (!parsed) return;
    const session = this.#online.get(parsed.edge);
    if (parsed.leaf === "state") this.#onStateAbove(parsed.edge, topic, payload);
    if (parsed.leaf === "state" || session === undefined) return;
    const isTaken = !retained && !this.#isRing && this.#own.publish(topic, payload);
    this.#counts(isTaken ? "down" : "dropped");
  }

  #onStateAbove(edge: string, topic: string, payload: Uint8Array): void {
    const { session, state } = readState(payload);
    if (this.#above.has(edge) || this.#above.size < MAX_KEPT) {
      this.#above.set(edge, Math.max(session, this.#above.get(edge) ?? 0));
    }
    const own = this.#online.get(edge);
    const kept = this.#kept.get(topic);
    // Another hub's late will: the edge is online here.
    if (state === "offline" && own !== undefined && session < own && kept) this.#up(topic, kept, true);
  }

  #counts(what: keyof UpstreamCounts): void {
    this.counts[what]++;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#pause();
    for (const timer of this.#retries) clearTimeout(timer);
    this.#parent.publish(bridgeTopic(this.#options.base, `${ANNOUNCED}${this.#id}`), "", { qos: 1, retain: true });
    await Promise.all([this.#parent.close(), this.#own.close()]);
  }
}

function readState(payload: Uint8Array): { session: number; state: string | null } {
  const json = payload.length <= MAX_KEPT_BYTES ? parseJsonObject(payload) : undefined;
  return { session: json ? (numberField(json, "session") ?? 0) : 0, state: json ? textField(json, "state") : null };
}
