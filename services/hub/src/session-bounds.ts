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
  outgoingClearMessageId(client: { id: string }, packet: WaitingPacket): Promise<StoredPacket | undefined>;
  addSubscriptions(client: { id: string }, subscriptions: WantedSubscription[]): Promise<void>;
  removeSubscriptions(client: { id: string }, topicFilters: string[]): Promise<void>;
  cleanSubscriptions(client: { id: string }): Promise<void>;
  cleanIncoming(client: { id: string }): Promise<void>;
}

/** One of the filters of a SUBSCRIBE. */
interface WantedSubscription {
  topic: string;
  qos: number;
}

/** A session that outlives its connections. */
interface Session {
  /** Whether it was there before the connection that it has now. */
  wasThere: boolean;
  connections: number;
  awaySinceMs: number;
}

/** What is kept for a session. */
interface Kept {
  messages: number;
  bytes: number;
}

type SessionLimits = Pick<
  HubLimits,
  "maxRetained" | "maxRetainedBytes" | "maxSessions" | "maxSessionAgeMs" | "maxSessionMessages" | "maxSessionBytes"
>;

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
  readonly #limits: SessionLimits;
  /** Bytes of each retained message. */
  readonly #retained = new Map<string, number>();
  readonly #kept = new Map<string, Kept>();
  readonly #sessions = new Map<string, Session>();
  #retainedBytes = 0;
  #keptBytes = 0;
  #granting: WantedSubscription | undefined;
  #store: GrowingStore | undefined;

  constructor(limits: HubLimits) {
    this.#limits = limits;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get retainedMessages(): number {
    return this.#retained.size;
  }

  /** Whether one more retained message has room. An empty payload deletes, which is always allowed. */
  mayRetain(topic: string, payloadBytes: number): boolean {
    if (payloadBytes === 0) return true;
    const before = this.#retained.get(topic);
    const count = this.#retained.size + (before === undefined ? 1 : 0);
    const bytes = this.#retainedBytes - (before ?? 0) + topic.length + payloadBytes;
    return count <= this.#limits.maxRetained && bytes <= this.#limits.maxRetainedBytes;
  }

  /**
   * Whether a client may have a session that outlives its connection. One with a clean session ends the old one.
   * Call `leave` when the connection has ended.
   */
  admitSession(clientId: string, clean: boolean): boolean {
    if (clean) {
      this.#sessions.delete(clientId);
      return true;
    }
    const known = this.#sessions.get(clientId);
    if (!known && this.#sessions.size >= this.#limits.maxSessions) return false;
    const session = known ?? { wasThere: false, connections: 0, awaySinceMs: 0 };
    session.wasThere = known !== undefined;
    session.connections++;
    this.#sessions.set(clientId, session);
    return true;
  }

  /** A connection that `admitSession` let in has ended. */
  leave(clientId: string, nowMs: number): void {
    const session = this.#sessions.get(clientId);
    if (!session) return;
    session.connections = Math.max(0, session.connections - 1);
    session.awaySinceMs = nowMs;
  }

  /** Ends the sessions whose clients have been away for too long. @returns their client ids */
  async expire(nowMs: number): Promise<string[]> {
    const over = [...this.#sessions].filter(
      ([, { connections, awaySinceMs }]) => connections === 0 && nowMs - awaySinceMs >= this.#limits.maxSessionAgeMs,
    );
    const ids = over.map(([clientId]) => clientId);
    // Before anything is waited for: whoever comes back meanwhile begins anew.
    for (const clientId of ids) this.#sessions.delete(clientId);
    for (const clientId of ids) await this.#forget({ id: clientId });
    return ids;
  }

  async #forget(client: { id: string }): Promise<void> {
    const store = this.#store!;
    await store.cleanSubscriptions(client);
    await store.cleanIncoming(client);
    for await (const packet of store.outgoingStream(client)) {
      // The same client has a session again; what is left of the old one is its own after all.
      if (this.#sessions.has(client.id)) return;
      await store.outgoingClearMessageId(client, packet);
    }
  }

  /**
   * Lets the broker take a filter that was granted, in `grant`, which has to do it at once. The broker asks for each filter
   * of a SUBSCRIBE, and stores all of them for a session each time: those that were refused, too.
   */
  granting(subscription: WantedSubscription, grant: () => void): void {
    this.#granting = subscription;
    grant();
    this.#granting = undefined;
  }

  /** A session's filter was refused: where it was granted once, nothing more is kept for it. */
  refused(clientId: string, topicFilter: string): void {
    if (this.#sessions.has(clientId)) void this.#store?.removeSubscriptions({ id: clientId }, [topicFilter]);
  }

  /** Puts the bounds before a store. */
  guard(store: GrowingStore): void {
    this.#store = store;
    const storeRetained = store.storeRetained.bind(store);
    store.storeRetained = (packet) => {
      this.#countRetained(packet);
      // The payload is a view of what the socket read: kept as it is, 20 bytes would hold on to 64 KiB.
      const stored = storeRetained({ ...packet, payload: Buffer.from(packet.payload) });
      return settledNow(stored);
    };
    const enqueue = store.outgoingEnqueueCombi.bind(store);
    store.outgoingEnqueueCombi = async (subscriptions, packet) => {
      const wanted = this.#thoseWithRoom(subscriptions, packet);
      if (wanted.length === 0) return;
      // A view of what the socket read would hold on to all of that.
      const stored = { ...packet, payload: Buffer.from(packet.payload) };
      const lower = wanted.filter(({ qos }) => qos < packet.qos);
      await enqueue(lower.length === 0 ? wanted : wanted.filter(({ qos }) => qos >= packet.qos), stored);
      // [MQTT-3.8.4-6]; what is above QoS 1 and was granted less was granted 1.
      if (lower.length > 0) await enqueue(lower, { ...stored, qos: 1 });
    };
    const waiting = store.outgoingStream.bind(store);
    store.outgoingStream = (client) => Readable.from(markedAsSent(waiting(client)));
    const byClient = store.subscriptionsByClient.bind(store);
    store.subscriptionsByClient = async (client) => {
      const subscriptions = await byClient(client);
      const isEmpty = subscriptions.length === 0 && this.#sessions.get(client.id)?.wasThere === true;
      return isEmpty ? [{ topic: NO_SUBSCRIPTION, qos: 0 }] : subscriptions;
    };
    const clear = store.outgoingClearMessageId.bind(store);
    store.outgoingClearMessageId = async (client, packet) => {
      // The store would make an empty queue for it, and keep that for ever.
      const kept = this.#kept.get(client.id);
      if (!kept) return undefined;
      const cleared = await clear(client, packet);
      // A PUBREL took the place of a message whose size nobody knows any more.
      if (cleared) this.#countKept(client.id, -1, -(bytesOf(cleared) || kept.bytes / kept.messages));
      return cleared;
    };
    const add = store.addSubscriptions.bind(store);
    store.addSubscriptions = (client, subscriptions) => add(client, this.#granting ? [this.#granting] : subscriptions);
  }

  #countRetained({ topic, payload }: StoredPacket): void {
    this.#retainedBytes -= this.#retained.get(topic) ?? 0;
    this.#retained.delete(topic);
    if (payload.length === 0) return;
    const bytes = topic.length + payload.length;
    this.#retained.set(topic, bytes);
    this.#retainedBytes += bytes;
  }

  #countKept(clientId: string, messages: number, bytes: number): void {
    const kept = this.#kept.get(clientId) ?? { messages: 0, bytes: 0 };
    kept.messages += messages;
    kept.bytes += bytes;
    this.#keptBytes += bytes;
    if (kept.messages > 0) this.#kept.set(clientId, kept);
    else {
      this.#keptBytes -= kept.bytes;
      this.#kept.delete(clientId);
    }
  }

  #thoseWithRoom(subscriptions: StoredSubscription[], packet: StoredPacket): StoredSubscription[] {
    if (subscriptions.length === 0) return subscriptions;
    // One copy a session, however many of its filters match: it is delivered once, at the highest QoS granted.
    const highest = new Map<string, StoredSubscription>();
    for (const each of subscriptions) {
      if (each.nl && each.clientId === packet.clientId) continue;
      if (each.qos > (highest.get(each.clientId)?.qos ?? 0)) highest.set(each.clientId, each);
    }
    return [...highest.values()].filter(({ clientId }) => {
      const messages = this.#kept.get(clientId)?.messages ?? 0;
      const bytes = bytesOf(packet);
      const isFull = messages >= this.#limits.maxSessionMessages;
      if (isFull || this.#keptBytes + bytes > this.#limits.maxSessionBytes) {
        this.droppedMessages++;
        return false;
      }
      this.#countKept(clientId, 1, bytes);
      return true;
    });
  }
}

/** What is counted of a message; a PUBREL that took the place of one has neither any more. */
function bytesOf({ topic, payload }: Partial<StoredPacket>): number {
  return (topic?.length ?? 0) + (payload?.length ?? 0);
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
