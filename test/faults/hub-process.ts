/**
 * A hub as a process of its own: `node hub-process.js PORT '<HubConfig as JSON>' [DOOR]`. With a door it can be reached
 * from another network namespace as well. Each message is answered by a report.
 */
import { rmSync, writeSync } from "node:fs";
import { Hub, type HubConfig } from "@canfleet/hub";
import { openDoor } from "./network.ts";

export interface HubReport {
  /** Memory, bytes. */
  rss: number;
  /** undefined when it was started without HTTP. */
  httpUrl: string | undefined;
  mqttUrl: string;
}

const port = Number(process.argv[2]);
const hub = await Hub.start({
  http: false,
  listen: { host: "127.0.0.1", port },
  ...(JSON.parse(process.argv[3] ?? "{}") as HubConfig),
  log: (level, text) => process.stderr.write(`${level} ${text}\n`),
});
const door = process.argv[4];
if (door !== undefined) {
  rmSync(door, { force: true });
  await openDoor(door, port);
}
process.once("SIGTERM", () => {
  void hub.close().then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(1));
process.on("message", () => {
  const report: HubReport = { rss: process.memoryUsage().rss, httpUrl: hub.httpUrl, mqttUrl: hub.mqttUrl };
  process.send?.(report);
});
writeSync(1, "ready\n");
