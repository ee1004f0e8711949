import type { HubLimits } from "./limits.ts";

/** A subscription of a session that outlives its connection, as the store lists it. */
interface StoredSubscription {
  clientId: string;
}

interface StoredPacket {
  topic: string;
  payload: Uint8Array;
}

/** The calls of the broker's in-memory store that make it grow. */
export interface GrowingStore {
  storeRetained(packet: StoredPacket): PromiseLike<void>;
  outgoingEnqueueCombi(subscriptions: StoredSubscription[], packet: StoredPacket): Promise<void>;
  outgoingClearMessageId(client: { id: string }, packet: StoredPacket): Promise<StoredPacket | undefined>;
}

/** Bounds what strangers can make the broker keep: retained messages, and messages for sessions that are away. */
export class SessionBounds {
  /** Messages that were not kept for a session that is full. */
  droppedMessages = 0;
  readonly #limits: Pick<HubLimits, "maxRetained" | "maxRetainedBytes" | "maxSessions" | "maxSessionMessages">;
  readonly #retained = new Map<string, number>();
  readonly #kept = new Map<string, number>();
  readonly #sessions = new Set<string>();
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
    this.#sessions.add(clientId);
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
    store.outgoingEnqueueCombi = (subscriptions, packet) => enqueue(this.#thoseWithRoom(subscriptions), packet);
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

  #thoseWithRoom(subscriptions: StoredSubscription[]): StoredSubscription[] {
    if (subscriptions.length === 0) return subscriptions;
    // One copy a session, however many of its filters match: it is delivered once.
    const clientIds = new Set<string>();
    return subscriptions.filter(({ clientId }) => {
      if (clientIds.has(clientId)) return false;
      clientIds.add(clientId);
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
