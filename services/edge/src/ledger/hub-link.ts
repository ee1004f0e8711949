/** How long an edge waits for a first acknowledgement before it takes the broker for one without a hub, ms. */
const NO_HUB_AFTER_MS = 10_000;

/** What is known of the way to the hub: every bus decides by it what to send again. */
export class HubLink {
  /** Number of the connection, from 1 on; 0 while there is none. */
  connection = 0;
  /** The hub has acknowledged something on this connection: it is there and listens. */
  isAnswering = false;
  #connections = 0;
  #connectedAtMs = 0;
  #everAcknowledged = false;

  get isConnected(): boolean {
    return this.connection > 0;
  }

  connected(nowMs: number): void {
    this.connection = ++this.#connections;
    this.#connectedAtMs = nowMs;
    this.isAnswering = false;
  }

  disconnected(): void {
    this.connection = 0;
    this.isAnswering = false;
  }

  acknowledged(): void {
    this.isAnswering = this.isConnected;
    this.#everAcknowledged = true;
  }

  /** Whether this broker seems to have no hub that acknowledges. */
  hasNoHub(nowMs: number): boolean {
    return this.isConnected && !this.#everAcknowledged && nowMs - this.#connectedAtMs > NO_HUB_AFTER_MS;
  }
}
