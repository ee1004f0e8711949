/**
 * An app that takes frames and counts them. Argument: JSON, `{tcp: true}` to listen for an edge or `{hub, edge, bus}`,
 * and `mode`: how it takes them. Commands on stdin: `report`, `reset`, `count`.
 */
import { createInterface } from "node:readline";
import { MqttBus, TCPBus, type BaseBus, type FrameBatch, type Message } from "@canfleet/sdk";
import { LatencyHistogram } from "../latency-histogram.ts";

export interface AppOptions {
  tcp?: boolean;
  /** Buses to listen for, each on a port of its own. Default 1. */
  buses?: number;
  record?: 21 | 29 | "auto";
  hub?: string;
  edge?: string;
  bus?: string;
  mode: "batch" | "message" | "recv" | "iterate";
  /** Whether frames carry the feeder's time. Default true; without it an app only counts. */
  stamped?: boolean;
}

/** What an app saw since it was reset. Times are µs of the monotonic clock. */
export interface AppReport {
  frames: number;
  /** Frames that it was told to be lost. */
  lost: number;
  firstUs: number;
  lastUs: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
}

const options = JSON.parse(process.argv[2] ?? "{}") as AppOptions;
const isStamped = options.stamped ?? true;
const histogram = new LatencyHistogram();
/** From performance.now() to CLOCK_MONOTONIC, which the feeder writes into each frame. */
const clockOffsetUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;
let frames = 0;
let lost = 0;
let firstUs = 0;
let lastUs = 0;

function nowUs(): number {
  return performance.now() * 1000 + clockOffsetUs;
}

function count(number: number): void {
  frames += number;
  lastUs = nowUs();
  if (firstUs === 0) firstUs = lastUs;
}

function stampUs(data: Uint8Array, at: number): number {
  const low = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
  const high = data[at + 4]! | (data[at + 5]! << 8) | (data[at + 6]! << 16) | (data[at + 7]! << 24);
  return ((high >>> 0) * 2 ** 32 + (low >>> 0)) / 1000;
}

function onBatch(batch: FrameBatch): void {
  count(batch.count);
  if (!isStamped) return;
  for (let i = 0; i < batch.count; i++) histogram.add(lastUs - stampUs(batch.data, batch.dataOffset[i]!));
}

function onMessage(message: Message): void {
  count(1);
  if (isStamped) histogram.add(lastUs - stampUs(message.data, 0));
}

async function take(bus: BaseBus): Promise<void> {
  if (options.mode === "batch") bus.on("batch", onBatch);
  else if (options.mode === "message") bus.on("message", onMessage);
  else if (options.mode === "iterate") for await (const message of bus) onMessage(message);
  else for (let message = await bus.recv(); message; message = await bus.recv()) onMessage(message);
}

function report(): AppReport {
  const [p50Us, p99Us, p999Us] = [0.5, 0.99, 0.999].map((share) => histogram.quantile(share));
  return { frames, lost, firstUs, lastUs, p50Us: p50Us!, p99Us: p99Us!, p999Us: p999Us! };
}

function reset(): void {
  frames = lost = firstUs = lastUs = 0;
  histogram.clear();
}

function say(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function open(): Promise<MqttBus | TCPBus> {
  const large = { receiveQueueFrames: 1 << 22 };
  if (options.tcp) {
    return TCPBus.listen(0, { hostname: "127.0.0.1", wait: false, record: options.record ?? "auto", ...large });
  }
  return MqttBus.connect(options.hub ?? "", { edge: options.edge ?? "+", bus: options.bus ?? "+", ...large });
}

const ports: number[] = [];
for (let i = 0; i < (options.buses ?? 1); i++) {
  const bus = await open();
  bus.on("error", (error) => process.stderr.write(`${error.message}\n`));
  bus.on("loss", (loss) => (lost += Object.values(loss.lost).reduce<number>((sum, n) => sum + (n ?? 1), 0)));
  void take(bus);
  ports.push(bus instanceof TCPBus ? (bus.port ?? 0) : 0);
}
createInterface({ input: process.stdin }).on("line", (command) => {
  if (command === "reset") reset();
  say(command === "count" ? { frames } : report());
});
process.once("SIGTERM", () => process.exit(0));
say({ port: ports[0], ports });
