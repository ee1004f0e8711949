/** Live subscribers in a process of their own, to be stopped: `node subscriber-process.js '<SubscriberOptions as JSON>'`. */
import { writeSync } from "node:fs";
import { HubConnection, parseTopic, readBatchHeader, type QoS } from "@canfleet/sdk";

export interface SubscriberOptions {
  url: string;
  /** Client ids, one connection each. */
  ids: string[];
  filter: string;
  qos: QoS;
}

/** Of all connections of the process together. */
export interface SubscriberReport {
  messages: number;
  /** Frames that the numbers of batches say are missing, while a connection lasted. */
  gapFrames: number;
  /** Batches whose number was not above the one before. */
  disordered: number;
  connects: number;
  disconnects: number;
  /** One above the newest number, by bus of the first connection. */
  next: { [channel: string]: number };
}

const { url, ids, filter, qos } = JSON.parse(process.argv[2]!) as SubscriberOptions;
const report: SubscriberReport = { messages: 0, gapFrames: 0, disordered: 0, connects: 0, disconnects: 0, next: {} };

async function subscribe(clientId: string, isFirst: boolean): Promise<void> {
  let next = new Map<string, number>();
  const connection = new HubConnection(url, {
    clientId,
    onConnect: () => {
      report.connects++;
      next = new Map();
    },
    onDisconnect: () => report.disconnects++,
    onMessage: (topic, payload) => {
      report.messages++;
      const parsed = parseTopic("canfleet", topic);
      if (parsed?.leaf !== "frames") return;
      const { epoch, seq, count } = readBatchHeader(payload);
      const key = `${parsed.edge}/${parsed.bus}@${epoch}`;
      const expected = next.get(key) ?? seq;
      if (seq > expected) report.gapFrames += seq - expected;
      if (seq < expected) report.disordered++;
      next.set(key, seq + count);
      if (isFirst) report.next[`${parsed.edge}/${parsed.bus}`] = seq + count;
    },
  });
  await connection.ready(30_000);
  await connection.subscribe([filter], qos);
}

await Promise.all(ids.map((id, i) => subscribe(id, i === 0)));
process.on("disconnect", () => process.exit(1));
process.on("message", () => process.send?.(report));
writeSync(1, "ready\n");
