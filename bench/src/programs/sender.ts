/**
 * An app that sends. Argument: the relay's record, 21, 29 or auto. Commands on stdin: `RATE MILLISECONDS`, answered
 * when all is sent. Each frame carries the time of its sending, ns of CLOCK_MONOTONIC.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Message, TCPBus } from "@canfleet/sdk";

export interface SentReport {
  sent: number;
}

const argument = process.argv[2];
const record = argument === "21" || argument === "29" ? (Number(argument) as 21 | 29) : "auto";
const data = new Uint8Array(8);
const view = new DataView(data.buffer);

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function send(bus: TCPBus, rate: number, ms: number): Promise<number> {
  const wanted = Math.round((rate * ms) / 1000);
  const startMs = performance.now();
  let sent = 0;
  while (sent < wanted) {
    const due = Math.min(wanted, Math.floor(((performance.now() - startMs) * rate) / 1000) + 1);
    for (; sent < due; sent++) {
      view.setBigUint64(0, process.hrtime.bigint(), true);
      await bus.send(new Message({ arbitrationId: 0x123, data }));
    }
    await sleep(1);
  }
  return sent;
}

const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false, record });
bus.once("connect", () => say({ connected: true }));
bus.on("error", (error) => process.stderr.write(`${error.message}\n`));
createInterface({ input: process.stdin }).on("line", (line) => {
  const [rate = 0, ms = 0] = line.split(" ").map(Number);
  void send(bus, rate, ms).then((sent) => say({ sent }));
});
process.once("SIGTERM", () => process.exit(0));
say({ port: bus.port });
