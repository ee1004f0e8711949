/** A hub as a process of its own; says where it listens. */
import { Hub } from "@canfleet/hub";

const hub = await Hub.start({ listen: { host: "127.0.0.1", port: 0 }, http: false });
process.once("SIGTERM", () => void hub.close().then(() => process.exit(0)));
process.stdout.write(`${JSON.stringify({ url: hub.mqttUrl })}\n`);
