/** Many small edges in one process: `node fleet-process.js '<FleetProcessOptions as JSON>'`. */
import { openSync, writeSync } from "node:fs";
import { Edge } from "@canfleet/edge";
import type { HubUrls } from "@canfleet/sdk";
import { LoadInterface, type LoadRate } from "./load-interface.ts";

export interface FleetProcessOptions {
  hub: HubUrls;
  rate: LoadRate;
  /** Name and count file (see `LoadInterface`) of each. */
  edges: [name: string, countFile: string][];
}

export interface FleetReport {
  /** When each connected, by performance.now(), in order. */
  connectsMs: number[];
}

const { hub, rate, edges } = JSON.parse(process.argv[2]!) as FleetProcessOptions;
const loads: LoadInterface[] = [];
const report: FleetReport = { connectsMs: [] };

for (const [name, countFile] of edges) {
  const load = new LoadInterface("load0", rate, openSync(countFile, "w"));
  loads.push(load);
  await Edge.start(
    { name, hub, buses: [{ channel: "load0" }], batch: { maxFrames: rate.framesPerBatch } },
    {
      openInterface: () => load,
      log: (text) => {
        if (text.endsWith(" connected")) report.connectsMs.push(performance.now());
      },
    },
  );
}
process.on("SIGUSR2", () => {
  for (const load of loads) load.rate = { ...rate, batchesPerSecond: Math.min(2, rate.batchesPerSecond) };
});
process.on("disconnect", () => process.exit(1));
process.on("message", () => process.send?.(report));
writeSync(1, "ready\n");
