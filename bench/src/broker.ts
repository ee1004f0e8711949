import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { HubLimits } from "@canfleet/hub";
import { Child } from "./child.ts";
import { nativeProgram } from "./native.ts";
import { programPath } from "./paths.ts";

/** A broker as a process. */
export interface RunningBroker {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

export interface Load {
  subscribers: number;
  topic: string;
  payload: Uint8Array;
  ms: number;
}

/** What the closed loop saw; `messages` are those that every subscriber had in time. */
export interface LoadReport {
  messages: number;
  seconds: number;
  published: number;
  delivered: number;
  lost: number;
}

/** Messages on their way to the slowest subscriber at most. */
const WINDOW = 256;
let nextPort = 34_000;

export async function startHub(limits: Partial<HubLimits> = {}): Promise<RunningBroker> {
  const hub = new Child("hub", [process.execPath, programPath("hub"), JSON.stringify(limits)]);
  const { url } = await hub.line<{ url: string }>();
  return { port: Number(new URL(url).port), pid: hub.pid, stop: () => hub.stop() };
}

/** Mosquitto as Debian ships it, without persistence and without Nagle's algorithm, as the hub has it. */
export async function startMosquitto(program: string): Promise<RunningBroker> {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-bench-"));
  const port = nextPort++;
  const settings = [`listener ${port} 127.0.0.1`, "allow_anonymous true", "set_tcp_nodelay true", "log_type none"];
  writeFileSync(join(folder, "mosquitto.conf"), `${settings.join("\n")}\n`);
  const broker = new Child("mosquitto", [program, "-c", join(folder, "mosquitto.conf")]);
  await untilListening(port);
  const stop = async (): Promise<void> => {
    await broker.stop();
    rmSync(folder, { recursive: true });
  };
  return { port, pid: broker.pid, stop };
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      await sleep(25);
    } finally {
      socket.destroy();
    }
  }
}

/** One publisher, many subscribers, QoS 0, never more than 256 messages on their way. */
export function runLoad(port: number, { subscribers, topic, payload, ms }: Load): Promise<LoadReport> {
  const args = [port, subscribers, topic, WINDOW, ms].map(String);
  const load = new Child("mqtt-load", [nativeProgram("mqtt-load"), ...args]);
  load.feed(payload);
  return load.line<LoadReport>();
}
