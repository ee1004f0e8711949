/** What the hub allows. Every field has a default that fits a hub of some hundred edges in 512 MB. */
export interface HubLimits {
  /** Bytes that wait for one subscriber at most; over it QoS 0 messages are dropped and counted. Default 4 MiB. */
  maxQueuedBytes: number;
  /** A subscriber that takes nothing for this long while something waits is disconnected, ms. Default 10,000. */
  stallMs: number;
  /** A subscriber that stays above half of `maxQueuedBytes` for this long is disconnected, ms. Default 60,000. */
  slowMs: number;
  /** Largest MQTT packet in bytes once a client has been accepted. Default 1 MiB. */
  maxPacketBytes: number;
  /** Largest MQTT packet in bytes before that. Default 16 KiB. */
  maxConnectBytes: number;
  /** Time from connecting to CONNECT, ms. Default 5,000. */
  connectTimeoutMs: number;
  /** MQTT connections, TCP and WebSocket together. Default 1,000. */
  maxConnections: number;
  /** Topic filters of one client. Default 1,000. */
  maxSubscriptions: number;
  /** Retained messages. Default 20,000: each SUBSCRIBE looks at all of them. */
  maxRetained: number;
  /** Bytes of all retained payloads together. Default 64 MiB. */
  maxRetainedBytes: number;
  /** Sessions that outlive their connection (clean session 0). Default 1,000. */
  maxSessions: number;
  /** Messages kept for one such session; later ones are dropped and counted. Default 1,000. */
  maxSessionMessages: number;
}

export const DEFAULT_LIMITS: HubLimits = {
  maxQueuedBytes: 4 * 1024 * 1024,
  stallMs: 10_000,
  slowMs: 60_000,
  maxPacketBytes: 1024 * 1024,
  maxConnectBytes: 16 * 1024,
  connectTimeoutMs: 5_000,
  maxConnections: 1_000,
  maxSubscriptions: 1_000,
  maxRetained: 20_000,
  maxRetainedBytes: 64 * 1024 * 1024,
  maxSessions: 1_000,
  maxSessionMessages: 1_000,
};
