/** A hub as a process of its own: `node hub-process.js PORT '<HubConfig as JSON>'`. Each message is answered by a report. */
import { writeSync } from "node:fs";
import { Hub, type HubConfig } from "@canfleet/hub";

export interface HubReport {
  /** Memory, bytes. */
  rss: number;
  /** undefined when it was started without HTTP. */
  httpUrl: string | undefined;
}

const hub = await Hub.start({
  http: false,
  ...(JSON.parse(process.argv[3] ?? "{}") as HubConfig),
  listen: { host: "127.0.0.1", port: Number(process.argv[2]) },
  log: (level, text) => process.stderr.write(`${level} ${text}\n`),
});
process.on("disconnect", () => process.exit(1));
process.on("message", () => {
  const report: HubReport = { rss: process.memoryUsage().rss, httpUrl: hub.httpUrl };
  process.send?.(report);
});
writeSync(1, "ready\n");
