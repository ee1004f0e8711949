import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Hub } from "./canfleet.ts";
import { ofCanUtils, ofLogLine, type FrameText } from "./frame-text.ts";
import { Ledger } from "./ledger.ts";
import { Program } from "./program.ts";
import { until } from "./until.ts";

/** Programs that know nothing of canfleet: what works with them works with others. */
const FOLDER = new URL("../../../e2e/strangers/", import.meta.url);

/** A file of the folder `strangers`. */
export function strangerFile(name: string): string {
  return fileURLToPath(new URL(name, FOLDER));
}

const PYTHONS = ["/usr/bin/python3", "python3"];
const PYTHON_MODULES = "import paho.mqtt.client, cbor2";

let python: string | undefined;

/** A Python that has paho and cbor2 (Debian's, where another one comes first in PATH); undefined where none has. */
export function pythonWithModules(): string | undefined {
  python ??= PYTHONS.find((command) => spawnSync(command, ["-c", PYTHON_MODULES]).status === 0);
  return python;
}

/** node:test's `skip`: which of the programs is missing here, or false. */
export function skipWithout(...commands: string[]): string | false {
  if (process.env.CANFLEET_REQUIRE_REAL === "1") return false;
  const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
  const missing = commands.filter(
    (name) => spawnSync("sh", ["-c", `command -v ${name}`], { env: { PATH: path } }).status !== 0,
  );
  return missing.length > 0 && `no ${missing.join(", ")} on this machine`;
}

/** Starts a Python program of the folder `strangers`. */
export function startPython(file: string, ...args: string[]): Program {
  return Program.start(pythonWithModules() ?? "python3", ["-u", strangerFile(file), ...args]);
}

/** A subscriber made of paho and cbor2; ready when this resolves. */
export async function startPahoReader(port: number, topic: string): Promise<Program> {
  const program = startPython("decode_batches.py", "127.0.0.1", `${port}`, topic);
  await program.line(/^READY$/);
  return program;
}

/** A pipe made of mosquitto_sub and cbor2; ready when this resolves. */
export async function startPipeReader(hub: Hub, topic: string): Promise<Program> {
  const reader = startPython("decode_batches.py", "-");
  const subscriber = await startMosquittoSub(hub, "pipe-reader", topic, "-F", "%x");
  subscriber.pipeTo(reader);
  await reader.line(/^READY$/);
  return reader;
}

/** A mosquitto_sub with a name; the hub has its subscription when this resolves. */
export async function startMosquittoSub(hub: Hub, id: string, topic: string, ...options: string[]): Promise<Program> {
  const args = ["-h", "127.0.0.1", "-p", `${hub.port}`, "-i", id, "-t", topic, ...options];
  const subscriber = Program.start("mosquitto_sub", args);
  await until(`the subscription of ${id}`, async () => {
    const clients = await clientsOf(hub);
    return clients.some((client) => client.id === id && client.subscriptions > 0);
  });
  return subscriber;
}

/** A client as the hub reports it. */
export interface ClientReport {
  id: string;
  subscriptions: number;
  droppedMessages: number;
}

/** The hub's list of clients. */
export async function clientsOf(hub: Hub): Promise<ClientReport[]> {
  const response = await fetch(`${hub.httpUrl}/api/clients`);
  if (!response.ok) throw new Error(`/api/clients: ${response.status}`);
  return ((await response.json()) as { clients: ClientReport[] }).clients;
}

/** What a reader of batches has printed so far. */
export function ledgerOf(name: string, reader: Program): Ledger {
  const ledger = new Ledger(name);
  for (const line of reader.lines) ledger.addStrangerLine(line);
  return ledger;
}

/** Sockets that read a CAN interface, as the kernel lists them. */
function readersOf(channel: string): number {
  const lines = readFileSync("/proc/net/can/rcvlist_all", "utf8").split("\n");
  return lines.filter((line) => line.includes(` ${channel} `) && line.includes("raw")).length;
}

/** A `candump -L` of one interface, error frames included; ready when `start` resolves. */
export class Candump {
  readonly #program: Program;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(channel: string): Promise<Candump> {
    const before = readersOf(channel);
    // A filter that all pass, and every class of error frames.
    const program = Program.start("candump", ["-L", `${channel},0:0,#FFFFFFFF`]);
    await until(`candump on ${channel}`, () => readersOf(channel) > before);
    return new Candump(program);
  }

  get lines(): string[] {
    return this.#program.lines;
  }

  get frames(): FrameText[] {
    return this.#program.lines.map((line) => ofLogLine(line)!.frame);
  }

  /** Kernel time of the first frame with this text, µs; undefined while there is none. */
  timeOf(frame: string): number | undefined {
    const wanted = ofCanUtils(frame);
    const lines = this.#program.lines.map((line) => ofLogLine(line)!);
    return lines.find((line) => line.frame === wanted)?.timestampUs;
  }

  /** Waits until a frame was seen. */
  seen(frame: string): Promise<number> {
    return this.#program.until(`candump to see ${frame}`, () => this.timeOf(frame));
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}

/** `cansend`, to its end. */
export async function cansend(channel: string, ...frames: string[]): Promise<void> {
  for (const frame of frames) {
    const program = await Program.run("cansend", [channel, frame]);
    if (program.ended !== 0) throw new Error(`cansend ${channel} ${frame}: ${program.stderr}`);
  }
}

/** A command that must succeed, such as `ip`. */
export async function must(command: string, ...args: string[]): Promise<void> {
  const program = await Program.run(command, args);
  if (program.ended !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${program.ended}: ${program.stderr}`);
}
