/** A program that has its edge keep something, to be killed: `node control-app.js URL`. */
import { writeSync } from "node:fs";
import { Message, MqttBus } from "@canfleet/sdk";

const bus = await MqttBus.connect(process.argv[2]!, {
  edge: "pi",
  bus: "car",
  connectTimeoutMs: 60_000,
  controlTimeoutMs: 60_000,
  periodicLeaseMs: 1000,
});
bus.on("error", (error) => writeSync(2, `${error.message}\n`));
await bus.control.setLatest(7, { leaseMs: 1000 });
bus.sendPeriodic(new Message({ arbitrationId: 0x123, data: [7] }), 20);
writeSync(1, "ready\n");
