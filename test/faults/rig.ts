import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";
import type { Edge, EdgeConfig } from "@canfleet/edge";
import type { HubConfig, HubLimits } from "@canfleet/hub";
import {
  bridgeTopic,
  DEFAULT_BASE,
  HubConnection,
  MqttBus,
  type HubUrls,
  type Losses,
  type MqttBusOptions,
} from "@canfleet/sdk";
import { Ledger } from "./ledger.ts";
import { portToDoor, type Network } from "./network.ts";
import type { EdgeProcessOptions } from "./edge-process.ts";
import type { FleetProcessOptions } from "./fleet-process.ts";
import type { HubReport } from "./hub-process.ts";
import type { LoadRate } from "./load-interface.ts";
import type { SubscriberOptions, SubscriberReport } from "./subscriber-process.ts";

/** 500 batches/s of 2 kB. */
export const FULL_LOAD: LoadRate = { batchesPerSecond: 500, framesPerBatch: 32 };
/** How much longer and harder than in CI: `SOAK=1`. */
export const SOAK = process.env.SOAK === "1" ? 10 : 1;
const LIMIT_MS = 90_000;

export interface RunningEdge {
  name: string;
  process: ChildProcess;
  countFile: string;
  options: EdgeProcessOptions;
  /** Besides the environment of this process. */
  env: { readonly [name: string]: string };
  /** Count files of this edge's earlier lives. */
  earlier: string[];
}

/** What ends a rig: a test, or a program. */
export interface Scope {
  after(end: () => Promise<void>): void;
}

/** What a rig's hub is, and all that the complete subscriber is not told by default. */
export interface RigOptions extends Partial<MqttBusOptions> {
  /** Default: those of the hub. */
  hubLimits?: Partial<HubLimits>;
  /** The hub is at its near end, edges are at its far end. Default: all are on this machine. */
  network?: Network;
  /** The hub's, besides that of this process. */
  hubEnv?: Surroundings["env"];
  /** The way that the complete subscriber takes to the hub's port. Default: straight. */
  way?: (port: number) => Promise<string>;
  /** Hubs that know nothing of each other; edges and the subscriber know all of them, in this order. Default 1. */
  hubs?: number;
  /** Hubs below the first; edges know all of these and not the first, where the subscriber is. Default 0. */
  below?: number;
  /** A broker that is not the hub's own, and which of its addresses everybody uses. */
  broker?: { edges: string[]; hub: string[]; subscriber: string[] };
}

/** Nobody else has ports in a namespace that was made just now. */
const HUB_PORT_IN_NETWORK = 1883;

/** A client as `/api/clients` shows it. */
export interface HubClient {
  id: string;
  subscriptions: number;
  sentMessages: number;
  droppedMessages: number;
  queuedBytes: number;
}

export interface Report {
  produced: number;
  delivered: number;
  lost: number;
  unexplained: number;
  twice: number;
  disordered: number;
}

/** A hub, edges and a subscriber, as processes that can be killed and stopped; ended with the test. */
export class Rig {
  readonly folder = mkdtempSync(join(tmpdir(), "canfleet-faults-"));
  readonly ledger = new Ledger();
  readonly edges: RunningEdge[] = [];
  hub: ChildProcess | undefined;
  bus: MqttBus | undefined;
  /** Where this process reaches the hub. */
  port = 0;
  #lives = 0;
  readonly #subscribers: ChildProcess[] = [];
  readonly #hubLimits: Partial<HubLimits>;
  readonly #network: Network | undefined;
  /** The hubs behind the first, and where all of them are. */
  readonly #otherHubs: ChildProcess[] = [];
  readonly ports: number[] = [];
  readonly belowPorts: number[] = [];
  /** What edges said in their logs, each line with its edge's name. */
  readonly edgeLog: string[] = [];

  readonly #broker: RigOptions["broker"];
  readonly #hubEnv: Surroundings["env"];

  private constructor({ hubLimits = {}, network, broker, hubEnv }: Omit<RigOptions, keyof MqttBusOptions>) {
    this.#hubLimits = hubLimits;
    this.#network = network;
    this.#broker = broker;
    this.#hubEnv = hubEnv;
  }

  static async start(t: Scope, options: RigOptions = {}): Promise<Rig> {
    const { hubLimits = {}, network, hubEnv, way, hubs = 1, below = 0, broker, ...busOptions } = options;
    const rig = new Rig({ hubLimits, ...(network && { network }), ...(broker && { broker }), hubEnv });
    t.after(() => rig.#end());
    rig.port = network ? await portToDoor(t, network.door) : await freePort();
    rig.ports.push(rig.port);
    while (rig.ports.length < hubs) rig.ports.push(await freePort());
    while (rig.belowPorts.length < below) rig.belowPorts.push(await freePort());
    await rig.startHub();
    for (const port of rig.ports.slice(1)) rig.#otherHubs.push(await rig.#spawnHub(port));
    for (const port of rig.belowPorts) rig.#otherHubs.push(await rig.#spawnHub(port, { upstream: rig.url }));
    await Promise.all(rig.belowUrls.map((url, i) => untilForwarding(url, rig.url, `rig-${i}`)));
    const subscribed = (await way?.(rig.port)) ?? broker?.subscriber ?? rig.urls;
    rig.bus = await MqttBus.connect(subscribed, {
      edge: "+",
      bus: "+",
      order: "complete",
      ...busOptions,
    });
    rig.bus.on("batch", (batch, { channel }) => rig.ledger.delivered(batch, channel));
    rig.bus.on("loss", (loss) => rig.ledger.lost(loss));
    rig.bus.on("error", (error) => console.error(error));
    return rig;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  get #hubOfEdges(): HubUrls {
    if (this.#network) return `mqtt://${this.#network.nearAddress}:${HUB_PORT_IN_NETWORK}`;
    return this.#broker?.edges ?? (this.belowPorts.length > 0 ? this.belowUrls : this.urls);
  }

  get belowUrls(): string[] {
    return this.belowPorts.map((port) => `mqtt://127.0.0.1:${port}`);
  }

  /** SIGKILL to one of the hubs that are not the first, in the order of their start. */
  async killOtherHub(i: number): Promise<void> {
    await kill(this.#otherHubs[i]!);
  }

  get urls(): string[] {
    return this.ports.map((port) => `mqtt://127.0.0.1:${port}`);
  }

  async startHub(): Promise<void> {
    this.hub = await this.#spawnHub(this.port);
  }

  #spawnHub(port: number, more: HubConfig = {}): Promise<ChildProcess> {
    const config: HubConfig = { limits: this.#hubLimits, http: { host: "127.0.0.1", port: 0 }, ...more };
    if (this.#broker) config.brokerUrl = this.#broker.hub;
    const network = this.#network;
    const env = this.#hubEnv;
    if (!network) return spawn("hub-process.js", [String(port), JSON.stringify(config)], { env });
    const everywhere = { listen: { host: "0.0.0.0", port: HUB_PORT_IN_NETWORK }, insecureLan: true };
    const args = [String(HUB_PORT_IN_NETWORK), JSON.stringify({ ...config, ...everywhere }), network.door];
    return spawn("hub-process.js", args, { within: network.near, env });
  }

  /** Memory of the hub, bytes, and where its page is. */
  async hubReport(): Promise<HubReport> {
    return (await ask(this.hub!)) as HubReport;
  }

  /** The hub's list of clients; those with most drops first. */
  async hubClients(): Promise<HubClient[]> {
    const { httpUrl } = await this.hubReport();
    const answer = (await (await fetch(`${httpUrl}/api/clients`)).json()) as { clients: HubClient[] };
    return answer.clients;
  }

  /** One of the hub's counters, all its labels together, or of one label value. */
  async hubMetric(name: string, label = ""): Promise<number> {
    const { httpUrl } = await this.hubReport();
    const text = await (await fetch(`${httpUrl}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(label));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  /** A process with live subscribers; ready when it is subscribed. */
  async startSubscriber(options: Omit<SubscriberOptions, "url">): Promise<ChildProcess> {
    const subscriber = await spawn("subscriber-process.js", [JSON.stringify({ url: this.url, ...options })]);
    this.#subscribers.push(subscriber);
    return subscriber;
  }

  /** What the subscribers of a process have, all together. Not while it is stopped. */
  async subscriberReport(subscriber: ChildProcess): Promise<SubscriberReport> {
    return (await ask(subscriber)) as SubscriberReport;
  }

  /** SIGKILL, and its end. */
  async killHub(): Promise<void> {
    await kill(this.hub!);
  }

  /**
   * SIGTERM, and a new hub on the same ports when the old one has ended.
   *
   * @returns exit code of the old one
   */
  async replaceHub(): Promise<number | null> {
    const ended = once(this.hub!, "exit") as Promise<[number | null]>;
    this.hub!.kill("SIGTERM");
    const [code] = await ended;
    await this.startHub();
    return code;
  }

  /** @param syncFile gets what each of its lives has brought safely to disk. Default: none */
  async startEdge(
    name: string,
    rate: LoadRate = FULL_LOAD,
    config: Partial<EdgeConfig> = {},
    { env = {}, syncFile }: { env?: RunningEdge["env"]; syncFile?: string } = {},
  ): Promise<RunningEdge> {
    const options: EdgeProcessOptions = {
      rate,
      countFile: "",
      ...(syncFile === undefined ? {} : { syncFile }),
      config: {
        name,
        hub: this.#hubOfEdges,
        buses: [{ channel: "load0" }],
        batch: { maxFrames: rate.framesPerBatch },
        ...config,
      },
    };
    const edge: RunningEdge = { name, countFile: "", options, env, earlier: [], process: undefined as never };
    this.edges.push(edge);
    await this.#run(edge);
    return edge;
  }

  async #run(edge: RunningEdge): Promise<void> {
    if (edge.countFile !== "") edge.earlier.push(edge.countFile);
    edge.countFile = join(this.folder, `${edge.name}-${this.#lives++}`);
    const args = [JSON.stringify({ ...edge.options, countFile: edge.countFile })];
    edge.process = await spawn("edge-process.js", args, { within: this.#network?.far, env: edge.env });
    createInterface({ input: edge.process.stderr! }).on("line", (line) => this.edgeLog.push(`${edge.name}: ${line}`));
  }

  /** Ends an edge and waits for it: at once, or in order with SIGTERM. */
  async stopEdge(edge: RunningEdge, signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    await kill(edge.process, signal);
  }

  /** A new life of an edge that was stopped. */
  async startAgain(edge: RunningEdge): Promise<void> {
    await this.#run(edge);
  }

  /** SIGKILL, and a new life. */
  async restartEdge(edge: RunningEdge, downMs = 0): Promise<void> {
    await this.stopEdge(edge);
    await sleep(downMs);
    await this.#run(edge);
  }

  /** SIGTERM, and a new life. */
  async endEdge(edge: RunningEdge): Promise<void> {
    await this.stopEdge(edge, "SIGTERM");
    await this.#run(edge);
  }

  /** Memory of an edge, bytes. */
  async edgeMemory(edge: RunningEdge): Promise<number> {
    return ((await ask(edge.process)) as { rss: number }).rss;
  }

  /** Frames that an edge says it lost in this life, by place. */
  async edgeLosses(edge: RunningEdge): Promise<Losses> {
    const { counters } = (await ask(edge.process)) as { counters: ReturnType<Edge["counters"]> };
    return counters.load0!.lost;
  }

  /**
   * Many edges in one process, each with a connection and a bus of its own. They are ended and slowed down together.
   *
   * @returns the process; asked for a report it tells when each edge connected
   */
  async startFleet(count: number, rate: LoadRate): Promise<ChildProcess> {
    const names = Array.from({ length: count }, (_, i) => `fleet-${i}`);
    const countFiles = names.map((name) => join(this.folder, `${name}-${this.#lives++}`));
    const options: FleetProcessOptions = { hub: this.urls, rate, edges: names.map((n, i) => [n, countFiles[i]!]) };
    const process = await spawn("fleet-process.js", [JSON.stringify(options)]);
    names.forEach((name, i) =>
      this.edges.push({ name, process, countFile: countFiles[i]!, options: undefined as never, env: {}, earlier: [] }),
    );
    return process;
  }

  /** What an edge made in each of its lives so far, the last one last. */
  produced(edge: RunningEdge): number[] {
    return [...edge.earlier, edge.countFile].map((file) => {
      const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
      return bytes.length >= 8 ? Number(bytes.readBigUInt64LE()) : 0;
    });
  }

  /** Slows the load down and waits until everything that was made is accounted for; earlier lives up to `slack` frames. */
  async settle(id: string, slack = 0): Promise<Report> {
    for (const edge of this.edges) edge.process.kill("SIGUSR2");
    await sleep(100);
    return this.#print(id, await this.balance(slack));
  }

  /** Waits until everything that was made up to now is accounted for; the load goes on. Judges nothing. */
  async balance(slack = 0): Promise<Report> {
    const targets = this.edges.map((edge) => this.produced(edge));
    const endMs = performance.now() + LIMIT_MS;
    for (;;) {
      const report = this.#report(targets, slack);
      if (report.unexplained === 0 || performance.now() > endMs) return report;
      await sleep(50);
    }
  }

  #report(targets: number[][], slack: number): Report {
    const report: Report = { produced: 0, delivered: 0, lost: 0, unexplained: 0, twice: 0, disordered: 0 };
    this.edges.forEach((edge, i) => {
      const channel = `${edge.name}/load0`;
      const lives = targets[i]!;
      const epochs = this.ledger.epochs(channel);
      lives.forEach((produced, life) => {
        const { delivered, lost, unexplained } = this.ledger.account(channel, epochs[life] ?? -life, produced);
        const allowed = life < lives.length - 1 ? slack : 0;
        report.produced += produced;
        report.delivered += delivered;
        report.lost += lost;
        report.unexplained += unexplained <= allowed ? 0 : unexplained;
      });
    });
    report.twice = this.ledger.twice;
    report.disordered = this.ledger.disordered;
    return report;
  }

  #print(id: string, report: Report): Report {
    const { produced, delivered, lost, unexplained, twice, disordered } = report;
    console.log(
      `${id} produced ${produced} delivered ${delivered} lost-counted ${lost} ` +
        `unexplained ${unexplained} twice ${twice} disordered ${disordered}`,
    );
    assert.deepEqual({ unexplained, twice, disordered, wrong: this.ledger.wrong }, LEDGER_OK);
    return report;
  }

  async #end(): Promise<void> {
    await this.bus?.shutdown();
    const processes = new Set([...this.edges.map(({ process }) => process), ...this.#subscribers]);
    await Promise.all([...[...processes, ...this.#otherHubs].map((child) => kill(child)), this.hub && kill(this.hub)]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const LEDGER_OK = { unexplained: 0, twice: 0, disordered: 0, wrong: 0 };

export interface Surroundings {
  /** A command that runs the process in another namespace; it must become that process. Default: none. */
  within?: readonly string[] | undefined;
  /** Besides the environment of this process. */
  env?: { readonly [name: string]: string } | undefined;
}

/** Starts a script of this folder; resolves when it has said that it is ready. */
export async function spawn(script: string, args: string[], { within, env }: Surroundings = {}): Promise<ChildProcess> {
  const verbose = process.env.FAULTS_VERBOSE === "1";
  const [execPath = process.execPath, ...before] = [...(within ?? []), process.execPath, ...process.execArgv];
  const child = fork(new URL(script, import.meta.url), args, {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    execPath,
    execArgv: before,
    env: { ...process.env, ...env },
  });
  if (verbose) child.stderr!.pipe(process.stderr);
  else child.stderr!.resume();
  const ready = once(child.stdout!, "data");
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`${script} ended with ${String(code)}`)));
  ended.catch(() => undefined);
  await Promise.race([ready, ended]);
  return child;
}

/**
 * Asks a process of the rig for its report.
 *
 * @throws Error when it ends, or has ended, without an answer
 */
export function ask(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      child.off("message", answered);
      child.off("exit", ended);
      settle();
    };
    const answered = (report: unknown): void => done(() => resolve(report));
    const ended = (): void => done(() => reject(new Error("the process has ended")));
    child.on("message", answered);
    child.on("exit", ended);
    // With a callback a closed channel is told here, and not as an event that nobody listens to.
    child.send("report", (error) => {
      if (error) done(() => reject(error));
    });
  });
}

/** Ends a process, SIGKILL unless told otherwise, and waits for its end. */
export async function kill(child: ChildProcess, signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Waits for a condition, for 60 s or `seconds` at most. */
export async function until(what: string, isSo: () => boolean, seconds = 60): Promise<void> {
  for (const endMs = performance.now() + seconds * 1000; !isSo();) {
    assert.ok(performance.now() < endMs, `${what} within ${seconds} s`);
    await sleep(20);
  }
}

/**
 * Waits until the hub at `from` hands on to the one at `to`: frames before that are nobody's above, as those before a
 * subscription are.
 */
async function untilForwarding(from: string, to: string, id: string): Promise<void> {
  const topic = bridgeTopic(DEFAULT_BASE, id);
  let isThere = false;
  const above = new HubConnection(to, { onMessage: () => (isThere = true) });
  const below = new HubConnection(from, { onMessage: () => undefined });
  try {
    await Promise.all([above.ready(), below.ready()]);
    await above.subscribe([topic], 0);
    await below.publishConfirmed(topic, "1", true);
    await until(`${from} hands on to ${to}`, () => isThere);
  } finally {
    await Promise.all([above.close(), below.close()]);
  }
}
