/** A hub as a process of its own: `node hub.js ['<HubLimits as JSON>']`; says where it listens. */
import { Hub, type HubLimits } from "@canfleet/hub";

const limits = JSON.parse(process.argv[2] ?? "{}") as Partial<HubLimits>;
const hub = await Hub.start({ listen: { host: "127.0.0.1", port: 0 }, http: false, limits });
process.once("SIGTERM", () => void hub.close().then(() => process.exit(0)));
process.stdout.write(`${JSON.stringify({ url: hub.mqttUrl })}\n`);
