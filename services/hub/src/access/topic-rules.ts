import { parseTopic } from "@canfleet/sdk";
import type { Identity } from "./identity.ts";
import { grantsBus } from "./send-grants.ts";

/** What an edge says of itself; nobody else may. */
const EDGE_LEAVES: ReadonlySet<string> = new Set(["state", "info", "status", "frames", "backfill", "sent", "response"]);
const RETAINED_LEAVES: ReadonlySet<string> = new Set(["state", "info", "status"]);

/** Who may publish and subscribe what: the table of docs/security.md, which a test compares. */
export class TopicRules {
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  mayPublish(identity: Identity, topic: string, retain: boolean): boolean {
    if (identity.kind === "hub") return true;
    const mayAsk = identity.role === "operator" || identity.role === "admin";
    if (topic.startsWith(`${this.#base}/_bridges/`)) {
      return identity.role === "edge" || (mayAsk && identity.send.length > 0);
    }
    const parsed = parseTopic(this.#base, topic);
    if (!parsed) return false;
    if (identity.role === "edge") {
      const isOwn = parsed.edge === identity.name && EDGE_LEAVES.has(parsed.leaf);
      if (isOwn) return !retain || RETAINED_LEAVES.has(parsed.leaf);
    }
    if (!mayAsk || retain || parsed.bus === undefined) return false;
    return parsed.leaf === "send" ? grantsBus(identity.send, parsed.edge, parsed.bus) : parsed.leaf === "request";
  }

  maySubscribe(identity: Identity, topicFilter: string): boolean {
    if (topicFilter.startsWith("$")) return false;
    if (identity.role !== "edge") return true;
    return topicFilter.startsWith(`${this.#base}/${identity.name}/`) || topicFilter === `${this.#base}/_bridges/+`;
  }
}
