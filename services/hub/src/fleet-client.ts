import { edgeTopic, busTopic, HubConnection, messageOf, type HubLogin, type HubTls, type HubUrls } from "@canfleet/sdk";
import type { Fleet } from "./fleet.ts";
import { ALIVE_TOPIC } from "./policy.ts";
import type { HubLog } from "./log.ts";

/** Time to the next attempt when the broker did not take the subscriptions, ms. */
const RETRY_MS = 1_000;

/**
 * Keeps a `Fleet` up to date as a plain MQTT client, so that it works the same with any broker.
 */
export class FleetClient {
  readonly #connection: HubConnection;
  readonly #base: string;
  readonly #log: HubLog;
  #retry: NodeJS.Timeout | undefined;
  #subscribed = false;
  #closed = false;

  /** @param login how the broker is told who this is. Default: not at all, or as the URL says */
  constructor(urls: HubUrls, base: string, fleet: Fleet, log: HubLog, login: HubLogin = {}, tls?: HubTls) {
    this.#base = base;
    this.#log = log;
    this.#connection = new HubConnection(urls, {
      ...login,
      tls,
      onMessage: (topic, payload, retained) => fleet.apply(topic, payload, retained, performance.now()),
      onDisconnect: (reason) => {
        if (!this.#closed) log("warn", `connection to the broker lost: ${reason}`);
      },
    });
  }

  get clientId(): string {
    return this.#connection.clientId;
  }

  /** Whether the broker can be talked to. */
  get isConnected(): boolean {
    return this.#connection.isConnected;
  }

  /** Whether it has subscribed to what it follows. */
  get isSubscribed(): boolean {
    return this.#subscribed;
  }

  /** A message goes to the broker and its acknowledgement comes back. @throws CanfleetError `HUB_UNREACHABLE` */
  async roundTrip(): Promise<void> {
    await this.#connection.publishConfirmed(ALIVE_TOPIC, "", false);
  }

  /** Which of the broker's addresses is used, or tried, now; with user and password if it has them. */
  get address(): string {
    return this.#connection.address;
  }

  /**
   * Subscribes once the broker answers.
   *
   * @throws CanfleetError `HUB_UNREACHABLE`, `HUB_REFUSED`
   */
  async start(): Promise<void> {
    await this.#connection.ready();
    await this.#subscribe();
  }

  /** Like `start`, again and again until it works: for a broker that may come later. */
  startWhenReachable(): void {
    this.start().catch((error: unknown) => {
      if (this.#closed) return;
      this.#log("warn", messageOf(error));
      this.#retry = setTimeout(() => this.startWhenReachable(), RETRY_MS);
    });
  }

  async #subscribe(): Promise<void> {
    const base = this.#base;
    const filters = [edgeTopic(base, "+", "state"), edgeTopic(base, "+", "info"), busTopic(base, "+", "+", "status")];
    await this.#connection.subscribe(filters, 0);
    this.#subscribed = true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#connection.close();
  }
}
