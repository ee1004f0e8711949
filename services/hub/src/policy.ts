import { isBusName, isEdgeName } from "@canfleet/sdk";
import { filterMatches } from "./topic-filter.ts";

/** Where the hub sends to see whether it is alive. Nobody may subscribe to it. */
export const ALIVE_TOPIC = "$SYS/canfleet/alive";

/** Why something was refused; the words are label values in `/metrics`. */
export const REFUSALS = ["retained", "retain-topic", "reserved", "name", "filter", "full", "qos2", "identity"] as const;
export type Refusal = (typeof REFUSALS)[number];

/** Topics that say something of now: keeping one for later subscribers would make it a lie, or send a frame twice. */
const NEVER_RETAINED = new Set(["send", "sent", "frames", "backfill", "request"]);
/** What is retained by its meaning, by the levels behind the base; `+` stands for any name. */
const RETAINED: readonly string[] = ["+/state", "+/info", "+/+/status", "+/+/signals/+/+", "_bridges/+"];
/** Where bridges announce themselves: `<base>/_bridges/<id>`. */
const BRIDGES = "_bridges";
const BRIDGE_ID = /^[A-Za-z0-9_.:-]{1,64}$/;

/** Topics whose names were found valid and that are kept at hand; a busy fleet has a few for each bus. */
const MAX_KNOWN_TOPICS = 4_096;

/** What is refused whoever asks (docs/wire-mqtt.md, clause 1). */
export class Policy {
  readonly #prefix: string;
  readonly #retainable: readonly string[];
  /** Looking at the levels of a topic costs as much as half of routing a message, and most topics come again. */
  readonly #validTopics = new Set<string>();

  /**
   * @param base first part of all canfleet topics
   * @param retainTopics filters of topics that may be retained besides canfleet's own
   */
  constructor(base: string, retainTopics: readonly string[] = []) {
    this.#prefix = `${base}/`;
    this.#retainable = [...RETAINED.map((levels) => `${base}/${levels}`), ...retainTopics];
  }

  /** Whether a message on this topic may be kept for later subscribers; if not it goes to those who are there. */
  mayRetain(topic: string): boolean {
    return this.#retainable.some((filter) => filterMatches(filter, topic));
  }

  /** Why a PUBLISH, or a will, is refused; undefined when it is not. */
  refusePublish(topic: string, retain: boolean): Refusal | undefined {
    if (topic === ALIVE_TOPIC && !retain) return undefined;
    // Also what a mosquitto bridge says of itself, `$SYS/broker/connection/…`: it must not cost it its connection.
    if (topic.startsWith("$")) return "reserved";
    if (!retain && this.#validTopics.has(topic)) return undefined;
    if (!topic.startsWith(this.#prefix)) return undefined;
    const levels = topic.slice(this.#prefix.length).split("/");
    if (!namesAreValid(levels)) return "name";
    if (this.#validTopics.size >= MAX_KNOWN_TOPICS) this.#validTopics.clear();
    this.#validTopics.add(topic);
    return retain && levels.length >= 3 && NEVER_RETAINED.has(levels[2]!) ? "retained" : undefined;
  }

  /** Why a SUBSCRIBE is refused; undefined when it is not. */
  refuseSubscribe(topicFilter: string): Refusal | undefined {
    // `$SYS` tells the client ids of everybody; shared subscriptions are MQTT 5 and would never match anything.
    return topicFilter.startsWith("$") ? "filter" : undefined;
  }
}

function namesAreValid(levels: string[]): boolean {
  const [edge = "", second] = levels;
  if (edge === BRIDGES) return levels.length === 2 && BRIDGE_ID.test(second!);
  if (!isEdgeName(edge) || second === undefined || second === "") return false;
  return levels.length === 2 || isBusName(second);
}
