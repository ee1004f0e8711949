/** An edge as a process of its own, under load: `node edge-process.js '<EdgeProcessOptions as JSON>'`. */
import { openSync, writeSync } from "node:fs";
import { Edge, type EdgeConfig } from "@canfleet/edge";
import { LoadInterface, type LoadRate } from "./load-interface.ts";
import { recordSyncs } from "./sync-record.ts";

export interface EdgeProcessOptions {
  config: EdgeConfig;
  rate: LoadRate;
  /** Gets the number of frames made, 8 bytes, little-endian; a second 8 bytes hold the epoch. */
  countFile: string;
  /** Gets a line for each fdatasync that succeeded: see `recordSyncs`. Default: none. */
  syncFile?: string;
}

const options = JSON.parse(process.argv[2]!) as EdgeProcessOptions;
if (options.syncFile !== undefined) await recordSyncs(options.syncFile);
const countFile = openSync(options.countFile, "w");
const load = new LoadInterface("load0", options.rate, countFile);

const edge = await Edge.start(options.config, {
  openInterface: () => load,
  log: (text) => process.stderr.write(`${text}\n`),
});
// From here on the load trickles: enough for every gap to show.
process.on("SIGUSR2", () => {
  load.rate = { ...load.rate, batchesPerSecond: 10 };
});
process.once("SIGTERM", () => {
  void edge.close().then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(1));
process.on("message", () => {
  const { rss } = process.memoryUsage();
  process.send?.({ rss, counters: edge.counters() });
});
writeSync(1, "ready\n");
