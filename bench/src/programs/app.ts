/**
 * An app that takes frames and counts them. Argument: JSON, `{tcp: true}` to listen for an edge or `{hub, edge, bus}`,
 * and `mode`: how it takes them. Commands on stdin: `report`, `reset`, `count`.
 */
import { MqttBus, TCPBus, type BaseBus, type FrameBatch, type Message } from "@canfleet/sdk";
import { FrameMeter } from "../frame-meter.ts";

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

const options = JSON.parse(process.argv[2] ?? "{}") as AppOptions;
const isStamped = options.stamped ?? true;
const meter = new FrameMeter();

function onBatch(batch: FrameBatch): void {
  meter.count(batch.count);
  if (!isStamped) return;
  for (let i = 0; i < batch.count; i++) meter.addLatency(batch.data, batch.dataOffset[i]!);
}

function onMessage(message: Message): void {
  meter.count(1);
  if (isStamped) meter.addLatency(message.data, 0);
}

async function take(bus: BaseBus): Promise<void> {
  if (options.mode === "batch") bus.on("batch", onBatch);
  else if (options.mode === "message") bus.on("message", onMessage);
  else if (options.mode === "iterate") for await (const message of bus) onMessage(message);
  else for (let message = await bus.recv(); message; message = await bus.recv()) onMessage(message);
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
  bus.on("loss", (loss) => meter.countLost(Object.values(loss.lost).reduce<number>((sum, n) => sum + (n ?? 1), 0)));
  void take(bus);
  ports.push(bus instanceof TCPBus ? (bus.port ?? 0) : 0);
}
meter.serve({ port: ports[0], ports });
