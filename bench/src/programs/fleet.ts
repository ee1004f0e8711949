/**
 * Many small MQTT clients in one process. Arguments: hub URL, "edges" or "subscribers", how many. Edges publish a batch
 * of 20 frames ten times a second each; subscribers hear all of them. Commands on stdin: `count`.
 */
import { createInterface } from "node:readline";
import { encodeBatch, HubConnection } from "@canfleet/sdk";
import { periodicTraffic } from "../traffic.ts";

export interface FleetReport {
  /** Messages published, or received by all subscribers together. */
  messages: number;
}

const PERIOD_MS = 100;
const FRAMES = 20;

const [url = "", role = "", countText = ""] = process.argv.slice(2);
const count = Number(countText);
let messages = 0;

const clients = Array.from(
  { length: count },
  () => new HubConnection(url, role === "edges" ? {} : { onMessage: () => messages++ }),
);
for (const client of clients) await client.ready(60_000);
if (role === "edges") {
  const payload = encodeBatch(periodicTraffic(FRAMES, { extended: false }));
  clients.forEach((client, n) => {
    // Spread over the period, as the batches of machines that know nothing of each other are.
    const publish = (): boolean => client.publish(`canfleet/bench-${n}/can0/frames`, payload);
    setTimeout(
      () => {
        setInterval(() => {
          if (publish()) messages++;
        }, PERIOD_MS);
      },
      (PERIOD_MS * n) / count,
    );
  });
} else {
  for (const client of clients) await client.subscribe(["canfleet/+/+/frames"], 0);
}
const say = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);
createInterface({ input: process.stdin }).on("line", () => say({ messages } satisfies FleetReport));
process.once("SIGTERM", () => process.exit(0));
say({ ready: true });
