import { Readable } from "node:stream";
import type { HubLimits } from "./limits.ts";

/** A subscription of a session that outlives its connection, as the store lists it. */
interface StoredSubscription {
  clientId: string;
  qos: number;
  /** A bridge's: what the client publishes itself must not come back to it. */
  nl?: boolean;
}

interface StoredPacket {
  topic: string;
  payload: Uint8Array;
  qos: number;
  /** Who published it; undefined for the hub itself. */
  clientId?: string;
}

/** A packet for a session: a PUBLISH, or the PUBREL that took its place. */
interface WaitingPacket {
  cmd: string;
  dup?: boolean;
  messageId?: number | undefined;
}

/** The calls of the broker's in-memory store that make it grow. */
export interface GrowingStore {
  storeRetained(packet: StoredPacket): PromiseLike<void>;
  outgoingEnqueueCombi(subscriptions: StoredSubscription[], packet: StoredPacket): Promise<void>;
  outgoingStream(client: { id: string }): AsyncIterable<WaitingPacket>;
  subscriptionsByClient(client: { id: string }): Promise<{ topic: string; qos: number }[]>;
  outgoingClearMessageId(client: { id: string }, packet: StoredPacket): Promise<StoredPacket | undefined>;
}

/**
 * Stands for a session that has no subscriptions: the broker says "session present" of those only that have one
 * (MQTT-3.2.2-2). Nobody may subscribe to it.
 */
export const NO_SUBSCRIPTION = "$SYS/canfleet/session";

/**
 * Bounds what strangers can make the broker keep: retained messages, and messages for sessions that are away. Mends
 * what the broker's store makes of sessions that come back.
 */
export class SessionBounds {
  /** Messages that were not kept for a session that is full. */
  droppedMessages = 0;
  readonly #limits: Pick<HubLimits, "maxRetained" | "maxRetainedBytes" | "maxSessions" | "maxSessionMessages">;
  readonly #retained = new Map<string, number>();
  readonly #kept = new Map<string, number>();
  /** Sessions, and whether they were there before the connection that they have now. */
  readonly #sessions = new Map<string, boolean>();
  #retainedBytes = 0;

  constructor(limits: HubLimits) {
    this.#limits = limits;
  }

  get retainedMessages(): number {
    return this.#retained.size;
  }

  /** Whether one more retained message has room. An empty payload deletes, which is always allowed. */
  mayRetain(topic: string, payloadBytes: number): boolean {
    if (payloadBytes === 0) return true;
    const before = this.#retained.get(topic);
    const count = this.#retained.size + (before === undefined ? 1 : 0);
    const bytes = this.#retainedBytes - (before ?? 0) + payloadBytes;
    return count <= this.#limits.maxRetained && bytes <= this.#limits.maxRetainedBytes;
  }

  /** Whether a client may have a session that outlives its connection. One with a clean session ends the old one. */
  admitSession(clientId: string, clean: boolean): boolean {
    if (clean) {
      this.#sessions.delete(clientId);
      return true;
    }
    if (!this.#sessions.has(clientId) && this.#sessions.size >= this.#limits.maxSessions) return false;
    this.#sessions.set(clientId, this.#sessions.has(clientId));
    return true;
  }

  /** Puts the bounds before a store. */
  guard(store: GrowingStore): void {
    const storeRetained = store.storeRetained.bind(store);
    store.storeRetained = (packet) => {
      this.#countRetained(packet);
      // The payload is a view of what the socket read: kept as it is, 20 bytes would hold on to 64 KiB.
      const stored = storeRetained({ ...packet, payload: Buffer.from(packet.payload) });
      return settledNow(stored);
    };
    const enqueue = store.outgoingEnqueueCombi.bind(store);
    store.outgoingEnqueueCombi = async (subscriptions, packet) => {
      const wanted = this.#thoseWithRoom(subscriptions, packet.clientId);
      const lower = wanted.filter(({ qos }) => qos < packet.qos);
      await enqueue(lower.length === 0 ? wanted : wanted.filter(({ qos }) => qos >= packet.qos), packet);
      // [MQTT-3.8.4-6]; what is above QoS 1 and was granted less was granted 1.
      if (lower.length > 0) await enqueue(lower, { ...packet, qos: 1 });
    };
    const waiting = store.outgoingStream.bind(store);
    store.outgoingStream = (client) => Readable.from(markedAsSent(waiting(client)));
    const byClient = store.subscriptionsByClient.bind(store);
    store.subscriptionsByClient = async (client) => {
      const subscriptions = await byClient(client);
      const isEmpty = subscriptions.length === 0 && this.#sessions.get(client.id) === true;
      return isEmpty ? [{ topic: NO_SUBSCRIPTION, qos: 0 }] : subscriptions;
    };
    const clear = store.outgoingClearMessageId.bind(store);
    store.outgoingClearMessageId = async (client, packet) => {
      const cleared = await clear(client, packet);
      if (cleared) this.#kept.set(client.id, (this.#kept.get(client.id) ?? 1) - 1);
      return cleared;
    };
  }

  #countRetained({ topic, payload }: StoredPacket): void {
    this.#retainedBytes -= this.#retained.get(topic) ?? 0;
    this.#retained.delete(topic);
    if (payload.length === 0) return;
    this.#retained.set(topic, payload.length);
    this.#retainedBytes += payload.length;
  }

  #thoseWithRoom(subscriptions: StoredSubscription[], publisherId: string | undefined): StoredSubscription[] {
    if (subscriptions.length === 0) return subscriptions;
    // One copy a session, however many of its filters match: it is delivered once, at the highest QoS granted.
    const highest = new Map<string, StoredSubscription>();
    for (const each of subscriptions) {
      if (each.nl && each.clientId === publisherId) continue;
      if (each.qos > (highest.get(each.clientId)?.qos ?? 0)) highest.set(each.clientId, each);
    }
    return [...highest.values()].filter(({ clientId }) => {
      const kept = this.#kept.get(clientId) ?? 0;
      if (kept >= this.#limits.maxSessionMessages) {
        this.droppedMessages++;
        return false;
      }
      this.#kept.set(clientId, kept + 1);
      return true;
    });
  }
}

/** A PUBLISH that has an id has been sent before (MQTT-3.3.1-1). */
async function* markedAsSent(packets: AsyncIterable<WaitingPacket>): AsyncGenerator<WaitingPacket, void, undefined> {
  for await (const packet of packets) {
    if (packet.cmd === "publish") packet.dup = packet.messageId !== undefined;
    yield packet;
  }
}

/**
 * The in-memory store has stored when it returns. Letting the broker go on at once keeps a retained message before the
 * ones that follow it on the same topic (MQTT-4.6.0-5); a promise would let them overtake.
 */
function settledNow(stored: PromiseLike<void>): PromiseLike<void> {
  return {
    then(onFulfilled, onRejected) {
      stored.then(undefined, onRejected);
      onFulfilled?.();
      return stored as PromiseLike<never>;
    },
  };
}
