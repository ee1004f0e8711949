/** A hub as a process of its own: `node hub-process.js PORT`. */
import { writeSync } from "node:fs";
import { Hub } from "@canfleet/hub";

await Hub.start({
  listen: { host: "127.0.0.1", port: Number(process.argv[2]) },
  http: false,
  log: (level, text) => process.stderr.write(`${level} ${text}\n`),
});
process.on("disconnect", () => process.exit(1));
writeSync(1, "ready\n");
