import type { Authorization } from "./authorization.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import type { SessionStore } from "./delivery.ts";
import type { HubLimits } from "./limits.ts";
import type { HubLog } from "./log.ts";
import type { Refusal } from "./policy.ts";
import type { GrowingStore } from "./session-bounds.ts";
import type { Matcher } from "./subscriber-index.ts";
import type { IncomingStore } from "./unreleased-bounds.ts";

export interface BrokerOptions {
  /** First part of all canfleet topics. */
  base: string;
  limits: HubLimits;
  /** Is told which connections are clients that were accepted. */
  gate: ConnectionGate;
  authorization: Authorization;
  log: HubLog;
}

/** Numbers since the start; connections and what is kept as they are now. */
export interface BrokerCounts {
  connections: number;
  /** How many there may be. */
  connectionsLimit: number;
  /** Bytes that wait for subscribers. */
  queuedBytes: number;
  receivedMessages: number;
  receivedBytes: number;
  deliveredMessages: number;
  deliveredBytes: number;
  droppedMessages: number;
  retainedMessages: number;
  /** Sessions that outlive their connection. */
  sessions: number;
  refusals: { [reason in Refusal]: number };
  /** Connections ended for a packet that was too large. */
  oversizedPackets: number;
  /** Connections ended for a packet against the standard, by what was wrong. */
  invalidPackets: { [fault: string]: number };
  evictions: { [reason: string]: number };
}

/** One connection as `/api/clients` shows it. */
export interface ClientView {
  id: string;
  address: string;
  subscriptions: number;
  sentMessages: number;
  sentBytes: number;
  droppedMessages: number;
  queuedBytes: number;
}

/** The parts of Aedes 1.2 that its types do not show. */
export interface AedesParts {
  persistence: SessionStore & GrowingStore & IncomingStore;
  mq: { _matcher: Matcher };
}
