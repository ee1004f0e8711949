import { filterMatches } from "../topic-filter.ts";

/** Wishes of one subscription that MQTT 3.1.1 has no words for. */
interface SubscriptionOptions {
  /** Nothing that this client published itself. */
  noLocal: boolean;
  /** Whether retained messages are wanted at the last SUBSCRIBE. */
  wantsRetained: boolean;
}

export interface AskedFilter {
  topicFilter: string;
  /** What the broker was asked instead. */
  sent: string;
  refusal: number | undefined;
}

/** What both directions of a connection know of each other. */
export class Mqtt5Session {
  /** Largest packet that the client takes, bytes, fixed header included. */
  maxPacketBytes = Infinity;
  /** QoS of its subscriptions at most. */
  maxQos = 2;
  /** Properties of a CONNACK that says yes, without their length. */
  connackProperties = Buffer.alloc(0);
  /** Filters of SUBSCRIBEs that are not answered, by packet id: their names, what the broker was asked, and why not, where it is not the broker that decides. */
  readonly subscribes = new Map<number, AskedFilter[]>();
  readonly unsubscribes = new Map<number, string[]>();
  /** Why publishes were refused, by packet id, until they are answered. */
  readonly refusedPublishes = new Map<number, number>();
  /** Subscriptions that were granted, and those that are asked for. */
  readonly options = new Map<string, SubscriptionOptions>();
  /** Whether any subscription has a wish. */
  #hasWishes = false;

  subscribe(topicFilter: string, noLocal: boolean, retainHandling: number): void {
    const wantsRetained = retainHandling === 0 || (retainHandling === 1 && !this.options.has(topicFilter));
    this.options.set(topicFilter, { noLocal, wantsRetained });
    if (noLocal || !wantsRetained) this.#hasWishes = true;
  }

  /**
   * Whether a message that some subscription matches is wanted by none of those that match.
   *
   * @param isRetained it comes because of a new subscription
   * @param isOwn this client published it
   */
  refuses(topic: string, isRetained: boolean, isOwn: boolean): boolean {
    if (!this.#hasWishes || (!isRetained && !isOwn)) return false;
    for (const [topicFilter, { noLocal, wantsRetained }] of this.options) {
      if ((isRetained ? wantsRetained : !noLocal) && filterMatches(topicFilter, topic)) return false;
    }
    return true;
  }
}
