/** The waits of the raw link, ms (docs/wire-tcp.md 2 and 3.4). Tests shorten them; others need not touch them. */
export interface LinkTiming {
  /** A host keeps what it has to send until the greeting came, or this long. Default 300. */
  greetingWaitMs: number;
  /** An edge keeps captured frames until the hello came, or this long. Default 250. */
  holdMs: number;
  /** A line without bytes for this long ends the guessing about records. Default 50. */
  quietMs: number;
  /** A heartbeat goes out after this long without anything else. Default 2,000. */
  heartbeatMs: number;
  /** On the extended link a peer is dead that sent nothing for this long. Default 8,000. */
  silenceMs: number;
  /**
   * A connection is dead on which bytes waited this long without being taken, or, with records on Linux, were under way
   * without any of them being acknowledged. Default 10,000.
   */
  stallMs: number;
  /** TLS and the proof of the token, each, end after this long. Default 5,000. */
  handshakeMs: number;
  /** A connection attempt ends after this long. Default 8,000. */
  connectTimeoutMs: number;
  /** Wait before the second attempt to connect; doubles from there. Default 250. */
  firstRetryMs: number;
  /** Longest wait between attempts, before ± 25 % at random. Default 8,000. */
  maxRetryMs: number;
}

/** The timing that docs/wire-tcp.md names. */
export const LINK_TIMING: Readonly<LinkTiming> = {
  greetingWaitMs: 300,
  holdMs: 250,
  quietMs: 50,
  heartbeatMs: 2000,
  silenceMs: 8000,
  stallMs: 10_000,
  handshakeMs: 5000,
  connectTimeoutMs: 8000,
  firstRetryMs: 250,
  maxRetryMs: 8000,
};

/** First probe of a connection that is idle, ms. With Linux' 10 probes a second apart a dead peer is found in 14 s. */
export const KEEP_ALIVE_DELAY_MS = 4000;
