import type { AedesPublishPacket, Client } from "aedes";
import type { HubLimits } from "./limits.ts";
import { Outbox, TurnEnd, type EvictionReason } from "./outbox.ts";
import { encodePublish, encodePublishHead, type DeliveryQoS } from "./publish-packet.ts";
import type { Audience, Subscriptions } from "./subscriber-index.ts";
import { filterMatches } from "./topic-filter.ts";

/**
 * The parts of an Aedes 1.2 client that its types do not show. Aedes is pinned; `delivery.test.ts` and
 * `broker.test.ts` fail when one of them changes.
 */
export interface DeliverableClient extends Client {
  deliver0: Deliver;
  deliverQoS: Deliver;
  connackSent: boolean;
  _nextId: number;
  subscriptions: Subscriptions & { [topicFilter: string]: { qos: DeliveryQoS } | undefined };
}

/** Set by the broker on messages for the subscriptions of bridges. */
type NoLocal = AedesPublishPacket & { nl?: boolean; clientId?: string };

type Deliver = (packet: AedesPublishPacket, done: () => void) => void;

/** The one part of the session store that delivery needs. */
export interface SessionStore {
  outgoingUpdate(client: Client, packet: AedesPublishPacket): Promise<unknown>;
}

/** Wishes of a client's subscriptions that the broker knows nothing of. */
export interface SubscriptionWishes {
  /** Whether a message that a subscription matches is not wanted: a retained one that is old, or the client's own. */
  refuses(topic: string, isRetained: boolean, isOwn: boolean): boolean;
}

export interface Delivered {
  client: DeliverableClient;
  outbox: Outbox;
  wishes: SubscriptionWishes | undefined;
  /** Broker's number of the last message: matches of several filters come one right after the other. */
  lastCounter: number;
  /** What all subscriptions of the client were granted; undefined when they differ. */
  commonQos: DeliveryQoS | undefined;
}

/** How often subscribers are judged at most, ms. */
const MAX_JUDGE_PERIOD_MS = 1_000;

/**
 * How messages reach subscribers, in place of Aedes' own way, which waits for the slowest subscriber: with it one that
 * stops reading stalls all others, and with 100 messages in flight every topic of the broker.
 *
 * Here nobody is ever waited for. A message is encoded once for all its QoS 0 subscribers.
 */
export class Delivery {
  /** Messages to subscribers, and their bytes, of connections that have ended. */
  endedMessages = 0;
  endedBytes = 0;
  /** Messages dropped in all, ended connections included. */
  droppedMessages = 0;
  readonly evictions: { [reason in EvictionReason]: number } = { stalled: 0, slow: 0, "queue-full": 0 };
  readonly #limits: HubLimits;
  readonly #store: SessionStore;
  readonly #onEviction: (clientId: string, reason: EvictionReason) => void;
  readonly #turn = new TurnEnd();
  readonly #targets = new Map<Client, Delivered>();
  readonly #timer: NodeJS.Timeout;
  #encoded: { topic: string; payload: Uint8Array; retain: boolean; bytes: Buffer } | undefined;

  constructor(limits: HubLimits, store: SessionStore, onEviction: (clientId: string, reason: EvictionReason) => void) {
    this.#limits = limits;
    this.#store = store;
    this.#onEviction = onEviction;
    this.#timer = setInterval(() => this.#judge(), Math.min(MAX_JUDGE_PERIOD_MS, limits.stallMs / 4));
    this.#timer.unref();
  }

  /** Takes over what goes to this client. To be called before it can subscribe. */
  install(client: Client, wishes?: SubscriptionWishes): void {
    const outbox = new Outbox(client.conn, this.#turn, this.#limits, performance.now());
    const target: Delivered = {
      client: client as DeliverableClient,
      outbox,
      wishes,
      lastCounter: -1,
      commonQos: undefined,
    };
    const deliver: Deliver = (packet, done) => {
      this.#deliver(target, packet);
      // Retained messages for a new subscription (no broker id) come from a loop of the client's own, which may wait:
      // there can be more of them than its queue takes, and they would be lost for no fault of the client.
      if (packet.brokerId) done();
      else outbox.whenHalfEmpty(done);
    };
    target.client.deliver0 = deliver;
    target.client.deliverQoS = deliver;
    this.#targets.set(client, target);
    client.conn.once("close", () => this.#forget(target));
  }

  #forget({ client, outbox }: Delivered): void {
    if (!this.#targets.delete(client)) return;
    this.endedMessages += outbox.sentMessages;
    this.endedBytes += outbox.sentBytes;
  }

  /** Looks at the client's subscriptions again; to be called when they have changed. */
  subscriptionsChanged(client: Client): void {
    const target = this.#targets.get(client);
    if (!target) return;
    const granted = new Set(Object.values(target.client.subscriptions).map((subscription) => subscription!.qos));
    target.commonQos = granted.size === 1 ? [...granted][0] : undefined;
  }

  /** What is known of a connection; undefined once it has ended. */
  targetOf(client: Client): Delivered | undefined {
    return this.#targets.get(client);
  }

  /** Live connections that were accepted. */
  targets(): Delivered[] {
    return [...this.#targets.values()].filter(({ client }) => client.connackSent);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /**
   * Gives one message to subscribers at QoS 0, whatever they were granted: it was published so.
   *
   * @param packet the whole PUBLISH, which is kept
   */
  deliverPlain(
    { subscribers, noLocal }: Audience<Delivered>,
    packet: Buffer,
    { publisher, topic }: { publisher: Client; topic: string },
  ): void {
    for (const target of subscribers) {
      const { client, outbox } = target;
      if (!client.connackSent || client.closed || client.conn.destroyed) continue;
      const isOwn = client === publisher;
      if (isOwn && (noLocal.has(target) || target.wishes?.refuses(topic, false, true))) continue;
      this.#queue(outbox, packet);
    }
  }

  #deliver(target: Delivered, packet: AedesPublishPacket): void {
    const { client } = target;
    // A restored session is subscribed before CONNACK; nothing may come before that (MQTT-3.2.0-1), and what was
    // meant for it at QoS 1 is in the session store.
    if (!client.connackSent || client.closed || client.conn.destroyed) return;
    // Overlapping filters (MQTT 3.1.1, 3.3.5): once, at the highest QoS granted. Retained messages for a new
    // subscription have no broker id and are always wanted.
    if (packet.brokerId && target.lastCounter === packet.brokerCounter) return;
    // What a Mosquitto bridge publishes must not come back to it: it would travel in a circle.
    if ((packet as NoLocal).nl && (packet as NoLocal).clientId === client.id) return;
    const isOwn = (packet as NoLocal).clientId === client.id;
    if (target.wishes?.refuses(packet.topic, !packet.brokerId, isOwn)) return;
    target.lastCounter = packet.brokerCounter;
    const qos = Math.min(packet.qos, grantedQos(target, packet.topic)) as DeliveryQoS;
    if (qos === 0) this.#deliverQos0(target.outbox, packet);
    else this.#deliverAcknowledged(target, packet, qos);
  }

  #deliverQos0(outbox: Outbox, packet: AedesPublishPacket): void {
    this.#queue(outbox, this.#encode(packet));
  }

  #queue(outbox: Outbox, bytes: Buffer): void {
    if (outbox.hasRoomFor(bytes.length)) {
      outbox.write(bytes);
      return;
    }
    outbox.droppedMessages++;
    this.droppedMessages++;
  }

  /** One entry is enough: all subscribers of a message are served before the next message. */
  #encode(packet: AedesPublishPacket): Buffer {
    const payload = packet.payload as Buffer;
    const last = this.#encoded;
    if (last?.payload === payload && last.topic === packet.topic && last.retain === packet.retain) return last.bytes;
    const bytes = encodePublish(packet.topic, payload, packet.retain);
    this.#encoded = { topic: packet.topic, payload, retain: packet.retain, bytes };
    return bytes;
  }

  #deliverAcknowledged(target: Delivered, packet: AedesPublishPacket, qos: DeliveryQoS): void {
    const { client } = target;
    packet.messageId = nextMessageId(client);
    const write = (): void => this.#writeAcknowledged(target, packet, qos);
    if (client.clean || packet.retain) {
      write();
      return;
    }
    // Not in the store when the session's own bound was reached: then this is its only delivery.
    this.#store.outgoingUpdate(client, packet).then(write, write);
  }

  #writeAcknowledged({ client, outbox }: Delivered, packet: AedesPublishPacket, qos: DeliveryQoS): void {
    if (client.closed || client.conn.destroyed) return;
    const payload = packet.payload as Buffer;
    const head = encodePublishHead(packet.topic, payload.length, qos, packet.retain, packet.messageId!);
    if (outbox.hasRoomFor(head.length + payload.length)) {
      outbox.write(head, payload);
      return;
    }
    // A QoS 1 message may not be dropped while the session lives (MQTT 3.1.1, 4.3.2), so the session ends.
    outbox.droppedMessages++;
    this.droppedMessages++;
    this.#evict(client, "queue-full");
  }

  #judge(): void {
    const nowMs = performance.now();
    for (const { client, outbox } of this.#targets.values()) {
      const reason = client.conn.destroyed ? undefined : outbox.verdict(nowMs);
      if (reason) this.#evict(client, reason);
    }
  }

  #evict(client: DeliverableClient, reason: EvictionReason): void {
    this.evictions[reason]++;
    this.#onEviction(client.id, reason);
    client.conn.destroy();
  }
}

function grantedQos({ client, commonQos }: Delivered, topic: string): number {
  if (commonQos !== undefined) return commonQos;
  let granted = 0;
  for (const topicFilter of Object.keys(client.subscriptions)) {
    const { qos } = client.subscriptions[topicFilter]!;
    if (qos > granted && filterMatches(topicFilter, topic)) granted = qos;
  }
  return granted;
}

function nextMessageId(client: DeliverableClient): number {
  const id = client._nextId;
  client._nextId = id >= 65_535 ? 1 : id + 1;
  return id;
}
