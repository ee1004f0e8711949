/** A subscriber in a process of its own, to be stopped by a signal. Arguments: URL, client id, topic filter. */
import { connect } from "mqtt";

const [url = "", clientId = "", topicFilter = ""] = process.argv.slice(2);

/** What it saw: messages, and sequence numbers that were missing before one that came, over all topics. */
const seen = { messages: 0, missing: 0 };
const last = new Map<string, number>();

const client = connect(url, { protocolVersion: 4, reconnectPeriod: 0, keepalive: 0, clientId });
client.on("message", (topic, payload) => {
  const seq = payload.readUInt32BE(0);
  seen.messages++;
  seen.missing += seq - (last.get(topic) ?? -1) - 1;
  last.set(topic, seq);
});
client.on("close", () => process.send?.("closed"));
client.on("error", () => undefined);
process.on("message", () => process.send?.(seen));
process.on("disconnect", () => process.exit());
await client.subscribeAsync(topicFilter);
process.send?.("ready");
