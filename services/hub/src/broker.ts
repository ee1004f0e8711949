import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Aedes, type AuthenticateError, type Client, type PublishPacket, type Subscription } from "aedes";
import { busTopic, messageOf, parseTopic } from "@canfleet/sdk";
import { LogLimit } from "./access/log-limit.ts";
import { credentialsOf } from "./access/connection-credentials.ts";
import { ClientOwners } from "./access/client-owners.ts";
import type { Identity } from "./access/identity.ts";
import type { Publication } from "./authorization.ts";
import {
  addressOf,
  boundedKeepalive,
  addressOfSocket,
  bytesOf,
  publicationOf,
  nameOf,
  pollFor,
  quoted,
  socketBelow,
  socketOf,
} from "./broker-clients.ts";
import type { AedesParts, BrokerCounts, BrokerOptions, ClientView } from "./broker-types.ts";
import { ClientWork, type WorkingClient } from "./client-work.ts";
import { Delivery, type Delivered } from "./delivery.ts";
import { checkPackets } from "./mqtt/checked-stream.ts";
import { PACKET_FAULTS, PacketCheck, type PacketFault } from "./mqtt/packet-check.ts";
import { PublishShortcut } from "./mqtt/publish-shortcut.ts";
import { MAX_TOPIC_LEVELS } from "./mqtt/text-check.ts";
import { hangUpBecause, tellRefusal } from "./mqtt5/answers.ts";
import { lookAtLevel } from "./mqtt5/protocol-level.ts";
import { Mqtt5Stream, transportOf } from "./mqtt5/mqtt5-stream.ts";
import { REASON } from "./mqtt5/properties.ts";
import { Policy, REFUSALS, type Refusal } from "./policy.ts";
import { encodePublish } from "./publish-packet.ts";
import { NO_SUBSCRIPTION, SessionBounds } from "./session-bounds.ts";
import { SubscriberIndex } from "./subscriber-index.ts";
import { UnreleasedBounds } from "./unreleased-bounds.ts";

export type { BrokerCounts, BrokerOptions, ClientView } from "./broker-types.ts";

/** What connections are ended for: `mqtt5` is a packet against MQTT 5 alone. */
type Fault = PacketFault | "mqtt5";

/** Where refused messages go: the broker has no way to drop one without ending the connection. Nobody may subscribe. */
const NOWHERE = "$SYS/canfleet/refused";
/** CONNACK return codes (MQTT 3.1.1, 3.2.2.3). */
const SERVER_UNAVAILABLE = 3;
const IDENTIFIER_REJECTED = 2;
const NOT_AUTHORIZED = 5;
/** What the broker says of a connection that never sent CONNECT; `broker.test.ts` guards the words. */
const CONNECT_TIMEOUT = "connect did not arrive in time";
/** How often sessions are looked through at most, ms. */
const MAX_SESSION_LOOK_MS = 60_000;
const DRAIN_MS = 500;
/** How long clients may take to close their end, ms. */
const HANG_UP_MS = 200;

/** The embedded broker of MQTT 3.1.1, and of 5 by translation: Aedes, with our delivery, our policy and bounds on everything it keeps. */
export class Broker {
  readonly #aedes: Aedes;
  readonly #delivery: Delivery;
  readonly #index: SubscriberIndex<Delivered>;
  readonly #bounds: SessionBounds;
  readonly #policy: Policy;
  readonly #options: BrokerOptions;
  readonly #checks = new Map<Duplex, PacketCheck>();
  /** What the broker sees of each connection: itself, or what translates. */
  readonly #streams = new Map<Duplex, Duplex>();
  /** Each stops taking anything from a connection. */
  readonly #stops = new Map<Duplex, () => void>();
  readonly #identities = new WeakMap<Client, Identity>();
  readonly #wills = new WeakMap<Client, Publication>();
  readonly #owners = new ClientOwners();
  readonly #accepted = new Set<Client>();
  readonly #refusals = Object.fromEntries(REFUSALS.map((reason) => [reason, 0])) as { [reason in Refusal]: number };
  /** Filters that each client was granted. */
  readonly #filters = new WeakMap<Client, Set<string>>();
  readonly #refusalLog: LogLimit;
  readonly #sessionTimer: NodeJS.Timeout;
  readonly #faults = new Map<Fault, number>([...PACKET_FAULTS, "mqtt5" as const].map((fault) => [fault, 0]));
  #receivedMessages = 0;
  #endedBytes = 0;
  #isDraining = false;

  private constructor(aedes: Aedes, options: BrokerOptions) {
    const { persistence: store, mq } = aedes as unknown as AedesParts;
    this.#aedes = aedes;
    this.#options = options;
    this.#policy = new Policy(options.base, options.limits.retainTopics);
    this.#refusalLog = new LogLimit(options.log);
    this.#bounds = new SessionBounds(options.limits);
    this.#bounds.guard(store);
    new UnreleasedBounds(options.limits, () => this.#count("qos2", "a QoS 2 publish")).guard(store);
    const lookMs = Math.min(MAX_SESSION_LOOK_MS, options.limits.maxSessionAgeMs / 4);
    this.#sessionTimer = setInterval(() => void this.#expireSessions(), lookMs).unref();
    this.#delivery = new Delivery(options.limits, store, (clientId, reason) =>
      options.log("warn", `client ${JSON.stringify(clientId)} disconnected: ${reason}`, { client: clientId, reason }),
    );
    this.#index = new SubscriberIndex(mq._matcher);
    this.#setHooks();
    this.#listen();
    options.authorization.onChange(() => this.#endWhatDoesNotHold());
  }

  /** Ends the connections of identities that were removed or changed. */
  #endWhatDoesNotHold(): void {
    for (const client of [...this.#accepted]) {
      const identity = this.#identities.get(client);
      if (identity && this.#options.authorization.stillHolds(identity)) continue;
      const fields = { client: client.id, reason: "rights" };
      this.#options.log("warn", `client ${JSON.stringify(client.id)} disconnected: its rights were changed`, fields);
      hangUpBecause(client.conn, REASON.notAuthorized);
      client.close();
    }
  }

  static async create(options: BrokerOptions): Promise<Broker> {
    const aedes = await Aedes.createBroker({
      // 0: no limit of messages in flight in the whole broker. The default of 100 is what one slow reader fills.
      concurrency: 0,
      drainTimeout: options.limits.stallMs,
      connectTimeout: options.limits.connectTimeoutMs,
      // 0: none; the broker counts messages, UnreleasedBounds bytes, too.
      maxInflightInbound: 0,
      maxTopicLevels: MAX_TOPIC_LEVELS,
    });
    return new Broker(aedes, options);
  }

  #setHooks(): void {
    const aedes = this.#aedes;
    aedes.preConnect = (client, packet, callback) => {
      // Aedes goes on in a later turn, and would meanwhile handle what came behind CONNECT as if it were accepted.
      (client as unknown as WorkingClient).pause();
      this.#delivery.install(client, client.conn instanceof Mqtt5Stream ? client.conn.session : undefined);
      packet.keepalive = boundedKeepalive(packet.keepalive, this.#options.limits.maxKeepaliveMs);
      if (packet.will) this.#wills.set(client, publicationOf(packet.will));
      callback(null, true);
    };
    aedes.authenticate = (client, username, password, done) => {
      this.#authenticate(client, username, password).then(
        (returnCode) => (returnCode === 0 ? done(null, true) : done(connectRefusal(returnCode), null)),
        (error: unknown) => {
          this.#options.log("error", `authentication failed: ${messageOf(error)}`);
          done(connectRefusal(SERVER_UNAVAILABLE), null);
        },
      );
    };
    aedes.authorizePublish = (client, packet, callback) => {
      this.#authorizePublish(client, packet);
      callback();
    };
    aedes.authorizeSubscribe = (client, subscription, callback) => {
      if (this.#maySubscribe(client, subscription)) {
        this.#bounds.granting(subscription, () => callback(null, subscription));
        return;
      }
      this.#bounds.refused(client.id, subscription.topic);
      callback(null, null);
    };
    // Asked of what was kept for a session: its client may have lost a right while it was away.
    aedes.authorizeForward = (client, packet) => {
      const identity = this.#identities.get(client);
      return identity && this.#options.authorization.maySubscribe(identity, packet.topic) ? packet : null;
    };
  }

  #listen(): void {
    const aedes = this.#aedes;
    aedes.on("clientReady", (client) => {
      this.#subscriptionsChanged(client);
    });
    aedes.on("subscribe", (_subscriptions, client) => this.#subscriptionsChanged(client));
    aedes.on("unsubscribe", (filters, client) => {
      for (const filter of filters) this.#filters.get(client)?.delete(filter);
      this.#subscriptionsChanged(client);
    });
    aedes.on("keepaliveTimeout", (client) => this.#options.gate.count("keepalive", nameOf(client)));
    aedes.on("publish", (packet) => {
      if (!packet.topic.startsWith("$")) this.#receivedMessages++;
    });
    aedes.on("clientError", (client, error) =>
      this.#options.log("debug", `client ${JSON.stringify(client.id)}: ${error.message}`),
    );
    aedes.on("connectionError", (client, error) => {
      this.#options.log("debug", `connection: ${error.message}`);
      if (error.message === CONNECT_TIMEOUT) this.#options.gate.count("connect-timeout", addressOf(client));
    });
  }

  async #expireSessions(): Promise<void> {
    for (const clientId of await this.#bounds.expire(performance.now())) {
      this.#owners.sessionEnded(clientId);
      this.#options.log("info", `the session of ${JSON.stringify(clientId)} has ended: it was away for too long`);
    }
  }

  /** Counts and tells a refusal. */
  #count(reason: Refusal, what: string): void {
    this.#refusals[reason]++;
    this.#refusalLog.warn(`refused (${reason}): ${what}`);
  }

  #subscriptionsChanged(client: Client): void {
    this.#delivery.subscriptionsChanged(client);
    const target = this.#delivery.targetOf(client);
    if (target) this.#index.learn(target.client.subscriptions, target);
  }

  async #authenticate(client: Client, username: string | undefined, password: Buffer | undefined): Promise<number> {
    const will = this.#wills.get(client);
    const shown = { clientId: client.id, username, password, ...(will ? { will } : {}) };
    const conn = transportOf(client.conn);
    const identity = await this.#options.authorization.identify(credentialsOf(conn, client.req, shown));
    if (identity === "wrong") return NOT_AUTHORIZED;
    if (identity === "later") return SERVER_UNAVAILABLE;
    if (client.conn.destroyed) return SERVER_UNAVAILABLE;
    if (!this.#owners.mayTake(client.id, identity)) {
      this.#count("identity", `client id ${JSON.stringify(client.id)}, which is another's`);
      return IDENTIFIER_REJECTED;
    }
    if (!this.#bounds.admitSession(client.id, client.clean)) {
      this.#count("full", `a session for ${JSON.stringify(client.id)}`);
      return SERVER_UNAVAILABLE;
    }
    // Before CONNACK: whoever has that may send large packets.
    const check = this.#checks.get(transportOf(client.conn));
    if (check) check.maxPacketBytes = this.#options.limits.maxPacketBytes;
    this.#options.gate.settle(socketOf(client));
    this.#identities.set(client, identity);
    this.#accepted.add(client);
    // MQTT 5, 3.1.4: the one before hears why it is closed.
    const { clients } = this.#aedes as unknown as { clients: { [id: string]: Client | undefined } };
    hangUpBecause(clients[client.id]?.conn, REASON.takenOver);
    const release = this.#owners.take(client.id, identity, client.clean);
    client.conn.once("close", () => {
      this.#accepted.delete(client);
      if (!client.clean) this.#bounds.leave(client.id, performance.now());
      release();
    });
    return 0;
  }

  /** MQTT 3.1.1 has no answer to a refused publish: it is acknowledged and goes nowhere (3.3.5). */
  #authorizePublish(client: Client | null, packet: PublishPacket): void {
    const refusal = this.#refusalOf(client, packet);
    if (!refusal) {
      this.#keepOnlyWhatMayBeKept(client, packet);
      return;
    }
    this.#count(refusal, `${quoted(packet.topic)} of ${nameOf(client)}`);
    this.#receivedMessages++;
    if (packet.qos === 1) tellRefusal(client?.conn, packet.messageId, refusal);
    packet.topic = NOWHERE;
    packet.payload = Buffer.alloc(0);
    packet.retain = false;
  }

  /** Elsewhere than where something is retained by its meaning a message goes to those who are there, and is not kept. */
  #keepOnlyWhatMayBeKept(client: Client | null, packet: PublishPacket): void {
    if (!packet.retain || this.#policy.mayRetain(packet.topic)) return;
    if (client && this.#identities.get(client)?.kind === "hub") return;
    packet.retain = false;
    if (packet.payload.length > 0) this.#count("retain-topic", `keeping ${quoted(packet.topic)} of ${nameOf(client)}`);
  }

  #refusalOf(client: Client | null, packet: PublishPacket): Refusal | undefined {
    const { topic, payload, retain } = packet;
    // The will of a client that we hung up on: it is well, and will be back (MQTT 3.1.1, 3.1.2.5, allows not to publish it).
    if (this.#isDraining && (client as { closed?: boolean } | null)?.closed) return "reserved";
    const refusal = this.#policy.refusePublish(topic, retain);
    if (refusal) return refusal;
    if (retain && !this.#bounds.mayRetain(topic, payload.length)) return "full";
    const identity = client ? this.#identities.get(client) : undefined;
    const message = publicationOf(packet);
    if (!identity || !this.#options.authorization.mayPublish(identity, message)) return "identity";
    return this.#refuseSend(identity, packet);
  }

  /** Looks into a send request: it goes on with the name of who asked, or is answered on the edge's behalf. */
  #refuseSend(identity: Identity, packet: PublishPacket): Refusal | undefined {
    if (!packet.topic.endsWith("/send")) return undefined;
    const parsed = parseTopic(this.#options.base, packet.topic);
    if (parsed?.leaf !== "send") return undefined;
    const { edge, bus } = parsed;
    const verdict = this.#options.authorization.checkSend(identity, edge, bus, bytesOf(packet.payload));
    if (verdict === "unreadable") return "identity";
    if ("forward" in verdict) {
      packet.payload = Buffer.from(verdict.forward);
      return undefined;
    }
    const topic = busTopic(this.#options.base, edge, bus, "sent");
    const payload = Buffer.from(verdict.answer);
    this.#aedes.publish({ cmd: "publish", topic, payload, qos: 1, retain: false, dup: false }, () => undefined);
    return "identity";
  }

  #maySubscribe(client: Client, { topic }: Subscription): boolean {
    if (topic === NO_SUBSCRIPTION) return false;
    const identity = this.#identities.get(client);
    const filters = this.#filters.get(client) ?? new Set<string>();
    const isFull = filters.size >= this.#options.limits.maxSubscriptions && !filters.has(topic);
    const refusal =
      this.#policy.refuseSubscribe(topic) ??
      (isFull ? "full" : undefined) ??
      (identity && this.#options.authorization.maySubscribe(identity, topic) ? undefined : "identity");
    if (refusal) {
      this.#count(refusal, `filter ${quoted(topic)} of ${nameOf(client)}`);
      return false;
    }
    this.#filters.set(client, filters.add(topic));
    return true;
  }

  /** Serves one connection: a TCP socket, or a WebSocket as a stream. */
  handle(conn: Duplex, request?: IncomingMessage): void {
    if (this.#isDraining) {
      conn.destroy();
      return;
    }
    const check = new PacketCheck(this.#options.limits.maxConnectBytes, this.#options.limits);
    this.#checks.set(conn, check);
    conn.once("close", () => {
      this.#checks.delete(conn);
      this.#stops.delete(conn);
      this.#streams.delete(conn);
      this.#endedBytes += check.receivedBytes;
    });
    // Until the broker listens to it.
    conn.on("error", () => undefined);
    lookAtLevel(conn, this.#options.limits, {
      onKnown: (isMqtt5) => {
        if (this.#isDraining) conn.destroy();
        else this.#serve(conn, isMqtt5 ? this.#translate(conn, check) : conn, check, request);
      },
      onTimeout: () => {
        this.#options.gate.count("connect-timeout", addressOfSocket(socketBelow(conn, request)));
        conn.destroy();
      },
    });
  }

  #serve(conn: Duplex, stream: Duplex, check: PacketCheck, request: IncomingMessage | undefined): void {
    this.#streams.set(conn, stream);
    const onFault = (fault: Fault): void => this.#countFault(fault);
    // Nothing is read before the broker has taken the connection.
    this.#stops.set(
      conn,
      checkPackets(stream, check, onFault, (checked) => shortcut.take(checked)),
    );
    const client = this.#aedes.handle(stream, request);
    const work = new ClientWork(client as unknown as WorkingClient);
    const shortcut = new PublishShortcut(work, (packet, topicAt) => this.#publishPlain(client, packet, topicAt));
  }

  #translate(conn: Duplex, check: PacketCheck): Mqtt5Stream {
    const { maxPacketBytes, maxUnreleased } = this.#options.limits;
    return new Mqtt5Stream(conn, {
      offer: { maxPacketBytes, receiveMaximum: Math.min(65_535, Math.max(1, maxUnreleased)) },
      limitBytes: () => check.maxPacketBytes,
      onFault: (fault) => this.#countFault(fault),
    });
  }

  #countFault(fault: Fault): void {
    this.#faults.set(fault, this.#faults.get(fault)! + 1);
  }

  /** The short way of a message that nothing is kept of: to those who are there now. */
  #publishPlain(client: Client, packet: Buffer, topicAt: number): void {
    const payloadAt = topicAt + 2 + packet.readUInt16BE(topicAt);
    const topic = packet.toString("utf8", topicAt + 2, payloadAt);
    const payload = packet.subarray(payloadAt);
    const message: PublishPacket = { cmd: "publish", topic, payload, qos: 0, retain: false, dup: false };
    this.#authorizePublish(client, message);
    if (message.topic !== topic) return;
    const audience = this.#index.audienceOf(topic);
    if (audience.hasOthers) {
      // A copy: the bytes are a part of a chunk, which a message that waits would keep whole.
      const copy = { ...message, payload: Buffer.from(message.payload), clientId: client.id };
      this.#aedes.publish(copy, () => undefined);
      return;
    }
    this.#receivedMessages++;
    if (audience.subscribers.length === 0) return;
    const isAsSent = message.payload === payload;
    const bytes = isAsSent ? Buffer.from(packet) : encodePublish(topic, bytesOf(message.payload), false);
    this.#delivery.deliverPlain(audience, bytes, { publisher: client, topic });
  }

  counts(): BrokerCounts {
    const targets = this.#delivery.targets();
    let receivedBytes = this.#endedBytes;
    for (const check of this.#checks.values()) receivedBytes += check.receivedBytes;
    const { "too-large": oversizedPackets, ...invalidPackets } = Object.fromEntries(this.#faults);
    return {
      connections: this.#checks.size,
      connectionsLimit: this.#options.limits.maxConnections,
      queuedBytes: targets.reduce((sum, { outbox }) => sum + outbox.queuedBytes, 0),
      receivedMessages: this.#receivedMessages,
      receivedBytes,
      deliveredMessages: targets.reduce((sum, { outbox }) => sum + outbox.sentMessages, this.#delivery.endedMessages),
      deliveredBytes: targets.reduce((sum, { outbox }) => sum + outbox.sentBytes, this.#delivery.endedBytes),
      droppedMessages: this.#delivery.droppedMessages + this.#bounds.droppedMessages,
      retainedMessages: this.#bounds.retainedMessages,
      sessions: this.#bounds.sessions,
      refusals: { ...this.#refusals },
      oversizedPackets: oversizedPackets!,
      invalidPackets,
      evictions: { ...this.#delivery.evictions },
    };
  }

  /** Clients, those with most drops first. */
  clients(): ClientView[] {
    const views = this.#delivery.targets().map(({ client, outbox }) => ({
      id: client.id,
      address: addressOf(client),
      subscriptions: Object.keys(client.subscriptions).length,
      sentMessages: outbox.sentMessages,
      sentBytes: outbox.sentBytes,
      droppedMessages: outbox.droppedMessages,
      queuedBytes: outbox.queuedBytes,
    }));
    return views.sort((a, b) => b.droppedMessages - a.droppedMessages);
  }

  /**
   * Lets nobody in any more and takes nothing more from those who are in; what was taken before goes on to its subscribers.
   *
   * @param except client ids that go on: the hub's own
   */
  quiesce(except: ReadonlySet<string>): void {
    this.#isDraining = true;
    const spared = new Set<Duplex>();
    for (const { id, conn } of this.#accepted) if (except.has(id)) spared.add(transportOf(conn));
    for (const [conn, stop] of this.#stops) if (!spared.has(conn)) stop();
  }

  /** Ends all connections, after half a second at most in which subscribers may take what waits for them. */
  async close(): Promise<void> {
    this.#isDraining = true;
    await pollFor(DRAIN_MS, () => this.#delivery.targets().every(({ outbox }) => outbox.queuedBytes === 0));
    // Behind what was written, so that it arrives; destroying a socket may take that away.
    for (const conn of this.#checks.keys()) {
      const stream = this.#streams.get(conn) ?? conn;
      hangUpBecause(stream, REASON.shuttingDown);
      stream.end();
    }
    await pollFor(HANG_UP_MS, () => this.#checks.size === 0);
    this.#delivery.close();
    clearInterval(this.#sessionTimer);
    await new Promise<void>((resolve) => {
      this.#aedes.close(resolve);
    });
    for (const conn of this.#checks.keys()) conn.destroy();
  }
}

function connectRefusal(returnCode: number): AuthenticateError {
  const error = new Error(returnCode === NOT_AUTHORIZED ? "not authorized" : "server unavailable");
  // The codes are a `const enum` that exists in the types only.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- Object.assign keeps the number as it is
  return Object.assign(error, { returnCode });
}
