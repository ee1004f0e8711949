/** An edge as a process of its own. Argument: its configuration as JSON. */
import { Edge, type EdgeConfig } from "@canfleet/edge";

const edge = await Edge.start(JSON.parse(process.argv[2] ?? "{}") as EdgeConfig, {
  log: (text) => process.stderr.write(`${text}\n`),
});
process.once("SIGTERM", () => void edge.close().then(() => process.exit(0)));
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
