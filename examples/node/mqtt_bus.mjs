// Follows every bus of a fleet, columns at a time:  node mqtt_bus.mjs [HUB]
import { MqttBus } from "@canfleet/sdk";

const fleet = await MqttBus.connect(process.argv[2] ?? "mqtt://localhost", { edge: "+", bus: "+" });
const frames = new Map();

fleet.on("batch", (batch, { channel }) => {
  // batch.idWord, batch.timestampUs, batch.payload(i), …: no object a frame
  frames.set(channel, (frames.get(channel) ?? 0) + batch.count);
});
fleet.on("loss", ({ channel, lost }) => console.error("lost", channel, lost));

for (let second = 1; second <= 3; second++) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(Object.fromEntries(frames));
}
await fleet.shutdown();
