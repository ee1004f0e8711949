import { decodeBackfillRequest, isCanfleetError, parseTopic } from "@canfleet/sdk";
import type { Publication } from "../authorization.ts";
import type { Identity } from "./identity.ts";
import { grantsBus } from "./send-grants.ts";

/** What an edge says of itself; nobody else may. */
const EDGE_LEAVES: ReadonlySet<string> = new Set([
  "state",
  "info",
  "ping",
  "status",
  "frames",
  "backfill",
  "sent",
  "response",
]);
const RETAINED_LEAVES: ReadonlySet<string> = new Set(["state", "info", "status"]);

/** A request for backfill is a short line of JSON. */
const MAX_REQUEST_BYTES = 1_024;

/** Who may publish and subscribe what: the table of docs/security.md, which a test compares. */
export class TopicRules {
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  mayPublish(identity: Identity, message: Publication): boolean {
    if (identity.kind === "hub") return true;
    const { topic, retain } = message;
    if (topic.startsWith(`${this.#base}/_bridges/`)) {
      return identity.role === "edge" || (mayAsk(identity) && identity.send.length > 0);
    }
    const parsed = parseTopic(this.#base, topic);
    if (!parsed) return false;
    if (identity.role === "edge") {
      const isOwn = parsed.edge === identity.name && EDGE_LEAVES.has(parsed.leaf);
      return isOwn && (!retain || RETAINED_LEAVES.has(parsed.leaf));
    }
    if (retain || parsed.bus === undefined) return false;
    // Asking for what was missed is reading.
    if (parsed.leaf === "request") return mayAsk(identity) || isBackfill(message.payload);
    return parsed.leaf === "send" && mayAsk(identity) && grantsBus(identity.send, parsed.edge, parsed.bus);
  }

  maySubscribe(identity: Identity, topicFilter: string): boolean {
    if (topicFilter.startsWith("$")) return false;
    if (identity.role !== "edge") return true;
    return topicFilter.startsWith(`${this.#base}/${identity.name}/`) || topicFilter === `${this.#base}/_bridges/+`;
  }
}

/** Whether somebody may ask edges to do something, each thing as far as it was granted. */
function mayAsk({ role }: Identity): boolean {
  return role === "operator" || role === "admin";
}

function isBackfill(payload: Uint8Array): boolean {
  if (payload.length > MAX_REQUEST_BYTES) return false;
  try {
    return decodeBackfillRequest(payload) !== undefined;
  } catch (error) {
    if (!isCanfleetError(error)) throw error;
    return false;
  }
}
