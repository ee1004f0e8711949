import { Child } from "./child.ts";
import { BENCH_FOLDER, programPath } from "./paths.ts";
import { costOf, type ProcessCost } from "./process-cost.ts";
import { elfBits, type Fed, type FeedOptions, type Rig } from "./rig.ts";
import type { AppReport } from "./frame-meter.ts";
import type { AppOptions } from "./programs/app.ts";
import type { EdgeConfig } from "@canfleet/edge";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Time without a new frame after which a path has handed on all that it will. */
const QUIET_MS = 400;
const SETTLE_LIMIT_MS = 30_000;
const CONNECT_LIMIT_MS = 15_000;

/** Node compiles what runs often, in steps, the last after some ten thousand calls: so many wake-ups come first. */
export const WARM_UP: FeedOptions = { rate: 1900, ms: 10_000 };

/** What one feed through a path gave. */
export interface Passage {
  fed: Fed;
  app: AppReport;
  /** CPU time of the relay alone and of the app alone, µs. */
  relayCpuUs: number;
  appCpuUs: number;
  relayPeakBytes: number;
}

/** Programs between a bus and an app: a relay, perhaps a hub, and the app. */
export class LinkPath {
  readonly #rig: Rig;
  readonly #relays: Child[];
  readonly #app: Child;

  constructor(rig: Rig, relays: Child[], app: Child) {
    this.#rig = rig;
    this.#relays = relays;
    this.#app = app;
  }

  get relayPids(): number[] {
    return this.#relays.map(({ pid }) => pid);
  }

  /** Feeds the bus and waits until the app has all that comes. */
  async pass(feed: FeedOptions): Promise<Passage> {
    await this.#app.ask("reset");
    const relayBefore = costOf(this.relayPids);
    const appBefore = costOf([this.#app.pid]);
    const fed = await this.#rig.feed(feed);
    const [relay, app] = await this.#settle(fed.sent);
    return {
      fed,
      app: await this.#app.ask<AppReport>("report"),
      relayCpuUs: relay.cpuUs - relayBefore.cpuUs,
      appCpuUs: app.cpuUs - appBefore.cpuUs,
      relayPeakBytes: relay.peakRssBytes,
    };
  }

  async #settle(wanted: number): Promise<[relay: ProcessCost, app: ProcessCost]> {
    const endMs = performance.now() + SETTLE_LIMIT_MS;
    let frames = -1;
    let changedMs = performance.now();
    while (performance.now() < endMs) {
      const seen = (await this.#app.ask<{ frames: number }>("count")).frames;
      if (seen >= wanted || performance.now() - changedMs > QUIET_MS) break;
      if (seen !== frames) changedMs = performance.now();
      frames = seen;
      await sleep(20);
    }
    return [costOf(this.relayPids), costOf([this.#app.pid])];
  }

  async stop(): Promise<void> {
    for (const relay of this.#relays) await relay.stop();
    await this.#app.stop();
  }
}

/** Waits until frames come through: the relay has opened the bus and the app has a connection. */
export async function untilPassing(path: LinkPath, buses: number[] = [0]): Promise<void> {
  const endMs = performance.now() + CONNECT_LIMIT_MS;
  while (performance.now() < endMs) {
    const { app } = await path.pass({ rate: 100, ms: 100, buses });
    if (app.frames > 0) return;
  }
  throw new Error("no frame came through");
}

/** An app on canfleet's TCPBus, and the port on which it waits for a relay. */
export async function startApp(options: AppOptions): Promise<{ app: Child; port: number; ports: number[] }> {
  const app = new Child("app", [process.execPath, programPath("app"), JSON.stringify(options)]);
  const { port, ports } = await app.line<{ port: number; ports: number[] }>();
  return { app, port, ports };
}

let pythonPort = 33_000;

/** An app on socketsocketcan's Python TCPBus. */
export async function startPythonApp(
  python: string,
  folder: string,
  stamped = true,
): Promise<{ app: Child; port: number }> {
  // It cannot take a port that was used a moment ago (no SO_REUSEADDR).
  const port = pythonPort++;
  const script = join(BENCH_FOLDER, "python", "tcp_app.py");
  const app = new Child("Python app", [python, script, folder, `${port}`, stamped ? "1" : "0"]);
  await app.line();
  return { app, port };
}

/** canfleet's edge on the rig's buses. `env` is added to its environment. */
export async function startEdge(rig: Rig, config: EdgeConfig, env: Record<string, string> = {}): Promise<Child> {
  const command = [process.execPath, programPath("edge"), JSON.stringify(config)];
  const edge = new Child("edge", command, { env: { ...rig.environment(process.execPath), ...env } });
  await edge.line();
  return edge;
}

/** socketsocketcan's C++ client on bus 0. */
export function startSeedClient(rig: Rig, program: string, port: number): Child {
  return new Child("seed client", [program, rig.channel(), "127.0.0.1", `${port}`], { env: rig.environment(program) });
}

/** Bytes of a record of this build of socketsocketcan's client: its time has the word size of its `time_t`. */
export function seedRecord(program: string): 21 | 29 {
  return elfBits(program) === 32 ? 21 : 29;
}
