/**
 * Many publishers in one process: `node publisher-crowd.js URL COUNT RATE BYTES`.
 *
 * Each of COUNT connections publishes RATE messages a second of BYTES bytes on `crowd/N`; the first four bytes count
 * its messages. Prints READY when all are connected, and at the end of stdin how many messages each has published.
 */
import { HubConnection } from "@canfleet/sdk";

const TICK_MS = 10;
const [url = "", count = "", rate = "", bytes = ""] = process.argv.slice(2);

const publishers = Array.from({ length: Number(count) }, () => new HubConnection(url, { maxBufferedBytes: 1 << 26 }));
await Promise.all(publishers.map((publisher) => publisher.ready(60_000)));
process.stdout.write("READY\n");

const published = publishers.map(() => 0);
/** Publishers take turns, so that the hub always has something to do. */
const turns = Math.round(1000 / Number(rate) / TICK_MS);
let turn = 0;
const timer = setInterval(() => {
  for (let i = turn; i < publishers.length; i += turns) publishOne(i);
  turn = (turn + 1) % turns;
}, TICK_MS);

function publishOne(i: number): void {
  const payload = new Uint8Array(Number(bytes));
  new DataView(payload.buffer).setUint32(0, published[i]!);
  if (publishers[i]!.publish(`crowd/${i}`, payload)) published[i]!++;
}

process.stdin.resume().on("end", () => {
  clearInterval(timer);
  process.stdout.write(`PUBLISHED ${published.join(" ")}\n`);
  void Promise.all(publishers.map((publisher) => publisher.close())).then(() => process.exit());
});
