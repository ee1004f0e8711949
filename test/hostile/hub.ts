import { readFileSync, writeFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { canfleet, ownFolder } from "../e2e/support/canfleet.ts";
import type { Program } from "../e2e/support/program.ts";
import { connect, publish, subscribe } from "../conformance/packets.ts";
import { Peer } from "../conformance/peer.ts";

export const MIB = 1024 * 1024;
/** Long forms, as `SOAK=1` asks for. */
export const LONG = process.env.SOAK === "1";

let hubs = 0;
let clients = 0;

/** A hub as a process of its own, with these lines under `hub:` in its configuration, on free ports. */
export class HostileHub {
  readonly program: Program;
  readonly port: number;
  readonly httpUrl: string;
  readonly #firstBytes: number;

  private constructor(program: Program, port: number, httpUrl: string) {
    this.program = program;
    this.port = port;
    this.httpUrl = httpUrl;
    this.#firstBytes = this.residentBytes();
  }

  static async start(...settings: string[]): Promise<HostileHub> {
    const file = join(ownFolder(), `hostile-${++hubs}.yaml`);
    const lines = ["hub:", "  listen: 127.0.0.1:0", "  http: 127.0.0.1:0", ...settings.map((line) => `  ${line}`)];
    writeFileSync(file, `${lines.join("\n")}\n`);
    const program = canfleet("hub", "--config", file);
    const [, port, httpUrl] = await program.until("the hub's addresses", () => {
      if (program.ended !== undefined) throw new Error(`the hub ended with ${program.ended}: ${program.stderr}`);
      return /MQTT {2}mqtt:\/\/127\.0\.0\.1:(\d+)\n {2}page {2}(\S+)\n/.exec(program.stderr) ?? undefined;
    });
    const hub = new HostileHub(program, Number(port), httpUrl!);
    // What runs for the first time is loaded and compiled.
    await hub.serves();
    return hub;
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.program.pid}/status`, "utf8");
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
  }

  /** How much more memory than at its beginning the hub ever had, bytes. */
  growthBytes(): number {
    const status = readFileSync(`/proc/${this.program.pid}/status`, "utf8");
    return 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) - this.#firstBytes;
  }

  /** One number of `/metrics`. */
  async metric(name: string, reason?: string): Promise<number> {
    const page = await (await fetch(`${this.httpUrl}/metrics`)).text();
    const start = `${name}${reason === undefined ? "" : `{reason="${reason}"}`} `;
    const line = page.split("\n").find((each) => each.startsWith(start));
    if (line === undefined) throw new Error(`no ${start} in /metrics`);
    return Number(line.slice(start.length));
  }

  /** A good client comes, subscribes, and gets what it publishes. @returns how long that took, ms */
  async serves(): Promise<number> {
    const startMs = performance.now();
    const peer = await Peer.overTcp(this.port);
    peer.send(connect({ id: `good-${++clients}` }), subscribe(1, "good/#", 0));
    await peer.expect("CONNACK present=0 code=0", "SUBACK 1: 0");
    peer.send(publish("good/a", "x"));
    await peer.expect("PUBLISH q0 good/a x");
    await peer.drop();
    return performance.now() - startMs;
  }

  /** A raw socket from an address of this machine; its end is nobody's concern. */
  async socket(localAddress = "127.0.0.1"): Promise<Socket> {
    const socket = connectTcp({ port: this.port, host: "127.0.0.1", localAddress, noDelay: true });
    socket.on("error", () => undefined).resume();
    await new Promise<void>((resolve) => {
      for (const event of ["connect", "close"]) socket.once(event, () => resolve());
    });
    return socket;
  }
}

/** Does something many times, some of it at once. */
export async function many(count: number, atOnce: number, act: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
