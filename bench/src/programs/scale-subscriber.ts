/**
 * A subscriber of a whole fleet: `node scale-subscriber.js URL`. Commands on stdin: `clear` begins a new count of
 * latencies, `count` reports; both are answered by a report.
 */
import { createInterface } from "node:readline";
import { HubConnection, readBatchHeader } from "@canfleet/sdk";
import { LatencyHistogram } from "../latency-histogram.ts";
import { lastFrameUs, nowUs } from "./scale-traffic.ts";

export interface ScaleSubscriberReport {
  /** Since the start. */
  frames: number;
  /** Since `clear`, µs: from the last frame of a batch to its arrival. */
  p50: number;
  p99: number;
  p999: number;
}

/** Reading times takes longer than counting: one batch of so many is looked at. */
const SAMPLE = 8;

const [url = ""] = process.argv.slice(2);
const latencies = new LatencyHistogram();
let frames = 0;
let messages = 0;

const hub = new HubConnection(url, {
  clientId: "canfleet-scale-subscriber",
  onMessage: (_topic, payload) => {
    frames += readBatchHeader(payload).count;
    if (++messages % SAMPLE === 0) latencies.add(nowUs() - lastFrameUs(payload));
  },
});
await hub.ready(60_000);
await hub.subscribe(["canfleet/+/+/frames", "canfleet/+/+/backfill"], 0);
const say = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);
createInterface({ input: process.stdin }).on("line", (command) => {
  if (command === "clear") latencies.clear();
  const report: ScaleSubscriberReport = {
    frames,
    p50: latencies.quantile(0.5),
    p99: latencies.quantile(0.99),
    p999: latencies.quantile(0.999),
  };
  say(report);
});
process.once("SIGTERM", () => process.exit(0));
say({ ready: true });
