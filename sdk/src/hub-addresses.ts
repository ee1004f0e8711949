import { CanfleetError } from "./errors.ts";
import { redactUrls } from "./redact.ts";

/** Where a hub is, or several hubs (or nodes of one broker), in order of preference; at most 16. */
export type HubUrls = string | readonly string[];

/** Most addresses of one connection. */
export const MAX_HUB_ADDRESSES = 16;
/** First pause after a lost connection to the only address, ms. */
const FIRST_RECONNECT_MS = 250;
/** Over how long the clients of a hub that is gone spread when they go to the others, first round, ms. */
const FAILOVER_SPREAD_MS = 1_000;
/** Least pause between two attempts, ms. */
const LEAST_PAUSE_MS = 20;

/** The addresses as a list. */
export function hubUrlList(urls: HubUrls): readonly string[] {
  return typeof urls === "string" ? [urls] : urls;
}

/**
 * The rule by which one of several hubs is chosen (docs/scaling.md, 3): a search goes through all addresses in order of
 * preference, round after round, until one answers. A connection that ended begins a search whose first round has the
 * lost address last. While a connection lasts no other address is looked at.
 */
export class HubAddresses {
  readonly #urls: readonly string[];
  /** What is left of this round. */
  #round: string[];
  #rounds = 0;
  #current: string;
  #attempts = 0;

  /** @throws CanfleetError `CONFIG_INVALID` for no address, one that is none, too many, or plain and encrypted ones mixed */
  constructor(urls: HubUrls) {
    const list = [...new Set(hubUrlList(urls))];
    for (const url of list) assertHubUrl(url);
    const [first] = list;
    if (first === undefined || list.length > MAX_HUB_ADDRESSES)
      throw new CanfleetError("CONFIG_INVALID", `expected 1 to ${MAX_HUB_ADDRESSES} hub addresses, got ${list.length}`);
    // Passwords that are safe at one hub would be sent in the clear to another.
    if (new Set(list.map(isEncrypted)).size > 1)
      throw new CanfleetError(
        "CONFIG_INVALID",
        `hub addresses ${list.map(redactUrls).join(", ")}: all encrypted, or none`,
      );
    this.#urls = list;
    this.#current = first;
    this.#round = list.slice(1);
  }

  get count(): number {
    return this.#urls.length;
  }

  /** The address of this attempt or connection. */
  get current(): string {
    return this.#current;
  }

  get isPreferred(): boolean {
    return this.#current === this.#urls[0];
  }

  /** The address that is used when it can be. */
  get preferred(): string {
    return this.#urls[0]!;
  }

  /** All addresses without users and passwords, to be shown. */
  get shown(): string {
    return this.#urls.map(redactUrls).join(", ");
  }

  /** There is a connection: the next search begins with the others. */
  connected(): void {
    this.#attempts = 0;
    this.#rounds = 0;
    this.#round = [...this.#urls.filter((url) => url !== this.#current), this.#current];
  }

  /** The next search begins with the preferred address. */
  restart(): void {
    this.#round = [...this.#urls];
  }

  /** Takes the next address for the next attempt. */
  advance(): void {
    if (this.#round.length === 0) {
      this.#round = [...this.#urls];
      this.#rounds++;
    }
    this.#current = this.#round.shift()!;
    this.#attempts++;
  }

  /**
   * Pause before the next attempt, ms: with one address it grows attempt by attempt, with several round by round.
   *
   * @param maxMs longest pause
   * @param chance 0 up to, not including, 1
   */
  pauseMs(maxMs: number, chance: number): number {
    if (this.count === 1) return reconnectPauseMs(this.#attempts, maxMs, chance);
    return failoverPauseMs(this.#rounds + (this.#round.length === 0 ? 1 : 0), maxMs, chance);
  }
}

/**
 * Pause before the next attempt to connect to the only address, ms: grows to the maximum; up to half of it is taken off
 * at random, so that a fleet does not return in one instant.
 *
 * @param attempt attempts since the last connection, from 0
 * @param maxMs longest pause
 * @param chance 0 up to, not including, 1
 */
export function reconnectPauseMs(attempt: number, maxMs: number, chance: number): number {
  const fullMs = Math.min(maxMs, FIRST_RECONNECT_MS * 2 ** attempt);
  return Math.round(fullMs * (1 - chance / 2));
}

/**
 * Pause before the next of several addresses, ms: anything up to a bound that grows with each round, so that the clients
 * of a hub that is gone do not come to the next one in one instant.
 *
 * @param round rounds without a connection, from 0
 * @param maxMs longest pause
 * @param chance 0 up to, not including, 1
 */
export function failoverPauseMs(round: number, maxMs: number, chance: number): number {
  const fullMs = Math.min(maxMs, FAILOVER_SPREAD_MS * 2 ** round);
  return Math.max(LEAST_PAUSE_MS, Math.round(fullMs * (1 - chance)));
}

/** Whether this address is one of an encrypted connection. */
export function isEncrypted(url: string): boolean {
  return /^(mqtts|wss):/i.test(url);
}

function assertHubUrl(url: string): void {
  const protocols = ["mqtt:", "mqtts:", "ws:", "wss:"];
  if (URL.canParse(url) && protocols.includes(new URL(url).protocol)) return;
  throw new CanfleetError(
    "CONFIG_INVALID",
    `hub address ${redactUrls(JSON.stringify(url))}: expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://`,
  );
}
