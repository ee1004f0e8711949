import type { HubLimits } from "./limits.ts";

interface IncomingPacket {
  messageId?: number | undefined;
}

interface IncomingPublish extends IncomingPacket {
  topic: string;
  payload: Uint8Array;
}

/** The calls of the broker's in-memory store for QoS 2 messages that wait for the PUBREL of who published them. */
export interface IncomingStore {
  incomingStorePacket(client: { id: string }, packet: IncomingPublish): Promise<void>;
  incomingDelPacket(client: { id: string }, packet: IncomingPacket): Promise<void>;
  cleanIncoming(client: { id: string }): Promise<void>;
}

/** Bounds what publishers of QoS 2 can make the broker keep by never sending PUBREL. */
export class UnreleasedBounds {
  readonly #limits: Pick<HubLimits, "maxUnreleased" | "maxUnreleasedBytes">;
  readonly #onRefusal: () => void;
  /** Bytes by message id, by client. */
  readonly #clients = new Map<string, Map<number, number>>();
  #bytes = 0;

  /** @param onRefusal called when a message has no room; the broker then ends the connection */
  constructor(limits: HubLimits, onRefusal: () => void) {
    this.#limits = limits;
    this.#onRefusal = onRefusal;
  }

  /** Puts the bounds before a store. */
  guard(store: IncomingStore): void {
    const put = store.incomingStorePacket.bind(store);
    store.incomingStorePacket = async (client, packet) => {
      if (!this.#take(client.id, packet)) {
        this.#onRefusal();
        // MQTT 3.1.1 has no other way to say it.
        throw new Error("too many QoS 2 messages wait for PUBREL");
      }
      // A view of what the socket read would hold on to all of that.
      await put(client, { ...packet, payload: Buffer.from(packet.payload) });
    };
    const remove = store.incomingDelPacket.bind(store);
    store.incomingDelPacket = async (client, packet) => {
      await remove(client, packet);
      this.#release(client.id, packet.messageId ?? 0);
    };
    const clean = store.cleanIncoming.bind(store);
    store.cleanIncoming = async (client) => {
      for (const messageId of [...(this.#clients.get(client.id)?.keys() ?? [])]) this.#release(client.id, messageId);
      await clean(client);
    };
  }

  #take(clientId: string, { messageId = 0, topic, payload }: IncomingPublish): boolean {
    this.#release(clientId, messageId);
    const bytes = topic.length + payload.length;
    const waiting = this.#clients.get(clientId) ?? new Map<number, number>();
    if (waiting.size >= this.#limits.maxUnreleased || this.#bytes + bytes > this.#limits.maxUnreleasedBytes)
      return false;
    this.#clients.set(clientId, waiting.set(messageId, bytes));
    this.#bytes += bytes;
    return true;
  }

  #release(clientId: string, messageId: number): void {
    const waiting = this.#clients.get(clientId);
    const bytes = waiting?.get(messageId);
    if (!waiting || bytes === undefined) return;
    this.#bytes -= bytes;
    waiting.delete(messageId);
    if (waiting.size === 0) this.#clients.delete(clientId);
  }
}
