// A program at the end of a raw link:  node tcp_bus.mjs [PORT]
// then, where the bus is:              canfleet edge can0 THIS-MACHINE PORT
import { Message, TCPBus } from "@canfleet/sdk";

const bus = await TCPBus.listen(Number(process.argv[2] ?? 5000)); // resolves when the edge has connected
bus.on("loss", ({ lost }) => console.error("lost", lost));

await bus.send(new Message({ arbitrationId: 0x100, data: [0, 1, 2, 3, 4] }));
for (let i = 0; i < 10; i++) {
  const message = await bus.recv();
  const id = message.arbitrationId.toString(16).toUpperCase();
  console.log(message.timestamp.toFixed(6), id, Buffer.from(message.data).toString("hex"), message.isRx ? "" : "own");
}
await bus.shutdown();
