import { isErrorWord, ruleNames, type FrameBatch, type SendSource } from "@canfleet/sdk";
import type { SendPolicy } from "./send-policy.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Why a frame may not be sent, in the order of the questions (docs/sending.md 1). */
export type Denial = "off" | "error-frame" | "list" | "rate" | "cap";

/** What bounds sending beyond the rules. */
export interface SendLimits {
  /** Frames a second that MQTT clients and unnamed hosts together may send. Default: no cap. */
  maxSendHz?: number | undefined;
  /** Whether sending is switched off. Default: never. */
  isOff?: (() => boolean) | undefined;
}

/** Sources that the cap of the bus is for: those that the operator did not name one by one. */
const CAPPED: ReadonlySet<SendSource> = new Set(["guest", "mqtt"]);

/** Decides what may go onto one bus: the switch, the rules with their rates, the cap. */
export class SendGate {
  readonly #policy: SendPolicy;
  readonly #buckets: readonly (TokenBucket | undefined)[];
  readonly #cap: TokenBucket | undefined;
  readonly #isOff: () => boolean;

  constructor(policy: SendPolicy, { maxSendHz, isOff }: SendLimits = {}) {
    this.#policy = policy;
    this.#buckets = policy.rules.map(({ maxRateHz, burst }) =>
      maxRateHz === undefined ? undefined : new TokenBucket(maxRateHz, burst),
    );
    this.#cap = maxSendHz === undefined ? undefined : new TokenBucket(maxSendHz, Math.max(1, maxSendHz));
    this.#isOff = isOff ?? (() => false);
  }

  /** Whether nothing at all may be sent now. */
  get isOff(): boolean {
    return this.#isOff();
  }

  /**
   * What may be said of a frame beforehand, without counting it: "denied" never goes onto the bus, "bounded" as far as
   * a rule's rate leaves room, "free" as far as the cap of the bus does.
   */
  outlook(source: SendSource, frames: FrameBatch, row: number): "denied" | "bounded" | "free" {
    if (this.#isOff() || isErrorWord(frames.idWord[row]!)) return "denied";
    let outlook: "denied" | "bounded" = "denied";
    for (let i = 0; i < this.#policy.rules.length; i++) {
      if (!ruleNames(this.#policy.rules[i]!, source, frames, row)) continue;
      if (!this.#buckets[i]) return "free";
      outlook = "bounded";
    }
    return outlook;
  }

  /** The cap of the bus, frames a second; undefined: none. */
  get capHz(): number | undefined {
    return this.#cap?.ratePerSecond;
  }

  /** Counts a frame towards the cap that somebody else has put on the bus for an MQTT client. */
  spend(): void {
    this.#cap?.take();
  }

  /**
   * Asks for one frame, which counts towards the rates when it may be sent: ask once for each.
   *
   * @returns why it may not be sent; undefined when it may
   */
  ask(source: SendSource, frames: FrameBatch, row: number): Denial | undefined {
    if (this.#isOff()) return "off";
    if (isErrorWord(frames.idWord[row]!)) return "error-frame";
    const nowMs = performance.now();
    const cap = CAPPED.has(source) ? this.#cap : undefined;
    const isCapped = cap !== undefined && !cap.has(nowMs);
    let denial: Denial = "list";
    for (let i = 0; i < this.#policy.rules.length; i++) {
      if (!ruleNames(this.#policy.rules[i]!, source, frames, row)) continue;
      const bucket = this.#buckets[i];
      if (bucket && !bucket.has(nowMs)) {
        denial = "rate";
        continue;
      }
      if (isCapped) return "cap";
      bucket?.take();
      cap?.take();
      return undefined;
    }
    return denial;
  }
}
