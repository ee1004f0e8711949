import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Fleet } from "./fleet.ts";
import { freePort } from "./port.ts";
import { Program } from "./program.ts";

const CLI = fileURLToPath(new URL("../../../../cli/bin/canfleet.js", import.meta.url));

/** The `canfleet` command as a process of its own, untouched by this machine's settings. */
export function canfleet(...args: string[]): Program {
  return Program.start(process.execPath, [CLI, ...args], settings());
}

/** The same, to its end. */
export function runCanfleet(...args: string[]): Promise<Program> {
  return Program.run(process.execPath, [CLI, ...args], settings());
}

let folder: string | undefined;

/** A folder of this test file, removed when it ends. */
export function ownFolder(): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), "canfleet-e2e-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}

function settings(): { cwd: string; env: NodeJS.ProcessEnv } {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("CANFLEET_"));
  return {
    cwd: ownFolder(),
    env: { ...Object.fromEntries(kept), XDG_CONFIG_HOME: ownFolder(), XDG_STATE_HOME: ownFolder() },
  };
}

export interface Hub {
  program: Program;
  port: number;
  /** `mqtt://127.0.0.1:PORT` */
  url: string;
  httpUrl: string;
}

/** Starts a hub process and waits until clients can connect. */
export async function startHub(port?: number): Promise<Hub> {
  const mqttPort = port ?? (await freePort());
  const httpPort = await freePort();
  const program = canfleet("hub", "--listen", `127.0.0.1:${mqttPort}`, "--http", `127.0.0.1:${httpPort}`);
  const url = `mqtt://127.0.0.1:${mqttPort}`;
  await whenConnectable(url, program);
  return { program, port: mqttPort, url, httpUrl: `http://127.0.0.1:${httpPort}` };
}

/** Starts Debian's mosquitto, a broker that is not ours, and waits until clients can connect. */
export async function startMosquitto(): Promise<Hub> {
  const port = await freePort();
  // Without a configuration mosquitto 2 listens on loopback and lets everybody in.
  const program = Program.start("mosquitto", ["-p", `${port}`]);
  const url = `mqtt://127.0.0.1:${port}`;
  await whenConnectable(url, program);
  return { program, port, url, httpUrl: "" };
}

async function whenConnectable(url: string, program: Program): Promise<void> {
  const fleet = await program.until(`a broker at ${url}`, () => {
    if (program.ended !== undefined) throw new Error(`the broker ended with ${program.ended}: ${program.stderr}`);
    return Fleet.connect(url);
  });
  await fleet.close();
}
