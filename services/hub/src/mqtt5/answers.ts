import type { Duplex } from "node:stream";
import type { Refusal } from "../policy.ts";
import { Mqtt5Stream } from "./mqtt5-stream.ts";
import { REASON } from "./properties.ts";

/** What an MQTT 5 client is told of a publish that was refused. */
const PUBLISH_REASONS: { [reason in Refusal]?: number } = {
  retained: REASON.retain,
  reserved: REASON.topicName,
  name: REASON.topicName,
  full: REASON.quota,
};

/** Has the PUBACK of a refused publish say why; clients of 3.1.1 hear nothing. */
export function tellRefusal(conn: Duplex | undefined, messageId: number | undefined, refusal: Refusal): void {
  if (!(conn instanceof Mqtt5Stream) || messageId === undefined) return;
  conn.session.refusedPublishes.set(messageId, PUBLISH_REASONS[refusal] ?? REASON.notAuthorized);
}

/** Tells an MQTT 5 client why it is closed; others have no words for it. */
export function hangUpBecause(conn: Duplex | undefined, reason: number): void {
  if (conn instanceof Mqtt5Stream) conn.closeReason = reason;
}
