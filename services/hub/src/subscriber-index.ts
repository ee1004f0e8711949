/** What Aedes calls for a message that matches a subscription; here no more than its name. */
export type DeliverFunction = (packet: never, done: () => void) => void;

/** The parts of Aedes' emitter that its types do not show: a trie from topic filters to functions. */
export interface Matcher {
  match(topic: string): DeliverFunction[];
  add(topicFilter: string, deliver: DeliverFunction): unknown;
  remove(topicFilter: string, deliver?: DeliverFunction): unknown;
}

/** A client's subscriptions as Aedes has them. */
export interface Subscriptions {
  [topicFilter: string]: { func: DeliverFunction; nl?: boolean } | undefined;
}

/** Who gets messages of one topic. */
export interface Audience<T> {
  /** Each once, however many of its filters match. */
  readonly subscribers: readonly T[];
  /** Those of `subscribers` that do not want what they publish themselves, by none of their filters. */
  readonly noLocal: ReadonlySet<T>;
  /** Others, which the broker has to be asked for: its own, and subscriptions that are just being made. */
  readonly hasOthers: boolean;
}

/** Topics that are remembered. Buses of a fleet have three or four each. */
const MAX_TOPICS = 20_000;

/** Remembers who gets messages of a topic, until any subscription changes. */
export class SubscriberIndex<T> {
  readonly #matcher: Matcher;
  readonly #byFunction = new WeakMap<DeliverFunction, { subscriber: T; noLocal: boolean }>();
  readonly #audiences = new Map<string, Audience<T>>();

  constructor(matcher: Matcher) {
    this.#matcher = matcher;
    const add = matcher.add.bind(matcher);
    const remove = matcher.remove.bind(matcher);
    matcher.add = (topicFilter, deliver) => {
      this.#audiences.clear();
      return add(topicFilter, deliver);
    };
    matcher.remove = (topicFilter, deliver) => {
      this.#audiences.clear();
      return remove(topicFilter, deliver);
    };
  }

  /** Learns whom the functions of these subscriptions are for. */
  learn(subscriptions: Subscriptions, subscriber: T): void {
    for (const topicFilter of Object.keys(subscriptions)) {
      const { func, nl } = subscriptions[topicFilter]!;
      if (this.#byFunction.has(func)) continue;
      this.#byFunction.set(func, { subscriber, noLocal: nl === true });
      this.#audiences.clear();
    }
  }

  audienceOf(topic: string): Audience<T> {
    const known = this.#audiences.get(topic);
    if (known) return known;
    const wantsOwn = new Map<T, boolean>();
    let hasOthers = false;
    for (const deliver of this.#matcher.match(topic)) {
      const entry = this.#byFunction.get(deliver);
      if (entry) wantsOwn.set(entry.subscriber, !entry.noLocal || wantsOwn.get(entry.subscriber) === true);
      else hasOthers = true;
    }
    const subscribers = [...wantsOwn.keys()];
    const noLocal = new Set(subscribers.filter((subscriber) => !wantsOwn.get(subscriber)));
    const audience = { subscribers, noLocal, hasOthers };
    if (this.#audiences.size >= MAX_TOPICS) this.#audiences.clear();
    this.#audiences.set(topic, audience);
    return audience;
  }
}
