import { BlockList } from "node:net";
import { CanfleetError, messageOf, parseAddressList } from "@canfleet/sdk";

/**
 * What the hub allows. Every field has a default that fits a hub of some hundred edges in 512 MB; docs/security.md says
 * why, and `hub.limits` in the configuration sets them.
 */
export interface HubLimits {
  /** Connections of all listeners together, HTTP included. Default 1,000. */
  maxConnections: number;
  /** The same from one address; an IPv6 /64 counts as one. Default 50. */
  maxConnectionsPerAddress: number;
  /** Addresses and networks that many share, to which only `maxConnections` applies. Default: this machine. */
  sharedAddresses: readonly string[];
  /** Time for a TLS handshake, from then to CONNECT, and for the head of an HTTP request, ms each. Default 5,000. */
  connectTimeoutMs: number;
  /** A client that says nothing for 1.5 times this is disconnected, whatever keepalive it asked for, ms. Default 300,000. */
  maxKeepaliveMs: number;
  /** Largest MQTT packet in bytes before a client has been accepted. Default 16 KiB. */
  maxConnectBytes: number;
  /** Largest MQTT packet in bytes after that. Default 1 MiB. */
  maxPacketBytes: number;
  /** Topic filters of one client. Default 100. */
  maxSubscriptions: number;
  /** Levels of a topic or filter. Default 32. */
  maxTopicLevels: number;
  /** Bytes of a topic or filter. Default 1,024. */
  maxTopicBytes: number;
  /** Filters of topics that may be retained besides canfleet's own. Default homeassistant/#. */
  retainTopics: readonly string[];
  /** Retained messages. Default 20,000: each SUBSCRIBE looks at all of them. */
  maxRetained: number;
  /** Bytes of all retained messages together, topics included. Default 64 MiB. */
  maxRetainedBytes: number;
  /** Sessions that outlive their connection (clean session 0). Default 1,000. */
  maxSessions: number;
  /** A session whose client is away for longer ends, ms. Default 86,400,000, a day. */
  maxSessionAgeMs: number;
  /** Messages kept for one such session; later ones are dropped and counted. Default 1,000. */
  maxSessionMessages: number;
  /** Bytes of what is kept for all such sessions together, topics included; the same then. Default 64 MiB. */
  maxSessionBytes: number;
  /** QoS 2 messages of one client that wait for its PUBREL. Default 20. */
  maxUnreleased: number;
  /** Bytes of those of all clients together, topics included. Default 16 MiB. */
  maxUnreleasedBytes: number;
  /** Bytes that wait for one subscriber at most; over it QoS 0 messages are dropped and counted. Default 4 MiB. */
  maxQueuedBytes: number;
  /** A subscriber that takes nothing for this long while something waits is disconnected, ms. Default 10,000. */
  stallMs: number;
  /** A subscriber that stays above half of `maxQueuedBytes` for this long is disconnected, ms. Default 60,000. */
  slowMs: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;

export const DEFAULT_LIMITS: HubLimits = {
  maxConnections: 1_000,
  maxConnectionsPerAddress: 50,
  // A tunnel's or a reverse proxy's end is here, too.
  sharedAddresses: ["127.0.0.0/8", "::1"],
  connectTimeoutMs: 5_000,
  maxKeepaliveMs: 300_000,
  maxConnectBytes: 16 * KIB,
  maxPacketBytes: MIB,
  maxSubscriptions: 100,
  maxTopicLevels: 32,
  maxTopicBytes: 1_024,
  retainTopics: ["homeassistant/#"],
  maxRetained: 20_000,
  maxRetainedBytes: 64 * MIB,
  maxSessions: 1_000,
  maxSessionAgeMs: DAY_MS,
  maxSessionMessages: 1_000,
  maxSessionBytes: 64 * MIB,
  maxUnreleased: 20,
  maxUnreleasedBytes: 16 * MIB,
  maxQueuedBytes: 4 * MIB,
  stallMs: 10_000,
  slowMs: 60_000,
};

/** The limits that are numbers. */
export type NumericLimit = {
  [K in keyof HubLimits]: HubLimits[K] extends number ? K : never;
}[keyof HubLimits];

/** From where to where each of them may be set, both included, and in what it is counted. */
export const LIMIT_RANGES: { readonly [K in NumericLimit]: readonly [min: number, max: number, unit: string] } = {
  maxConnections: [10, 100_000, "connections"],
  maxConnectionsPerAddress: [1, 100_000, "connections"],
  connectTimeoutMs: [100, 60_000, "ms"],
  maxKeepaliveMs: [1_000, 65_535_000, "ms"],
  maxConnectBytes: [256, MIB, "bytes"],
  maxPacketBytes: [16 * KIB, 64 * MIB, "bytes"],
  maxSubscriptions: [10, 100_000, "filters"],
  // The broker's matching takes no more than 100.
  maxTopicLevels: [8, 100, "levels"],
  maxTopicBytes: [256, 65_535, "bytes"],
  maxRetained: [100, 1_000_000, "messages"],
  maxRetainedBytes: [64 * KIB, 2 ** 30, "bytes"],
  maxSessions: [0, 100_000, "sessions"],
  maxSessionAgeMs: [1_000, 365 * DAY_MS, "ms"],
  maxSessionMessages: [0, 100_000, "messages"],
  maxSessionBytes: [0, 2 ** 30, "bytes"],
  maxUnreleased: [0, 65_535, "messages"],
  maxUnreleasedBytes: [0, 2 ** 30, "bytes"],
  maxQueuedBytes: [64 * KIB, 2 ** 30, "bytes"],
  stallMs: [100, 3_600_000, "ms"],
  slowMs: [100, 3_600_000, "ms"],
};

/**
 * The limits with defaults for what is not given.
 *
 * @throws CanfleetError `CONFIG_INVALID` for a number outside its range, and for addresses that are none
 */
export function checkLimits(given: Partial<HubLimits> = {}): HubLimits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, [min, max, unit]] of Object.entries(LIMIT_RANGES)) {
    const value = limits[name as NumericLimit];
    if (Number.isInteger(value) && value >= min && value <= max) continue;
    throw new CanfleetError(
      "CONFIG_INVALID",
      `limit ${name}: ${value} is not a whole number from ${min} to ${max} (${unit})`,
    );
  }
  addressListOf(limits.sharedAddresses);
  return limits;
}

/**
 * Addresses and networks to compare with.
 *
 * @throws CanfleetError `CONFIG_INVALID`
 */
export function addressListOf(addresses: readonly string[]): BlockList {
  try {
    return addresses.length === 0 ? new BlockList() : parseAddressList(addresses);
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", `limit sharedAddresses: ${messageOf(error)}`, { cause: error });
  }
}
