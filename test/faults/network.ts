import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Scope } from "./rig.ts";

const NEAR = { device: "near0", address: "10.213.77.1" };
const FAR = { device: "far0", address: "10.213.77.2" };
const TOOLS: readonly [string, ...string[]][] = [
  ["ip", "-V"],
  ["tc", "-V"],
  ["iptables", "-V"],
  ["nsenter", "-V"],
  ["unshare", "-n", "ip", "link", "set", "lo", "up"],
  [
    "unshare",
    "-n",
    "iptables",
    "-A",
    "INPUT",
    "-m",
    "statistic",
    "--mode",
    "random",
    "--probability",
    "0",
    "-j",
    "DROP",
  ],
];

/** Why this machine cannot make networks with faults; false when it can. For the `skip` of a test. */
export function networkProblem(): string | false {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const [command, ...args] of TOOLS) {
    const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8" });
    if (error) return `no ${command} on this machine`;
    if (status !== 0) return `${[command, ...args].join(" ")}: ${stderr.trim()}`;
  }
  return false;
}

/** Why this kernel cannot slow a network down; false when it can. */
export function slownessProblem(): string | false {
  const { status, stderr } = spawnSync("unshare", ["-n", "tc", ...SLOW("lo", 256)], { encoding: "utf8" });
  return status === 0 ? false : `this kernel has no token bucket filter: ${stderr.trim()}`;
}

const SLOW = (device: string, kbit: number): string[] =>
  `qdisc replace dev ${device} root tbf rate ${kbit}kbit burst 4kb latency 200ms`.split(" ");

/** One end of a network: a namespace, kept by a process that ends with this one. */
interface Side {
  keeper: ChildProcess;
  /** What to put before a command so that it runs here. */
  enter: readonly string[];
  device: string;
}

/**
 * Two network namespaces joined by one cable, near ↔ far. What becomes of the cable, no process at either end is told:
 * packets vanish at the far end of their way. All of it is gone with this process.
 */
export class Network {
  readonly nearAddress = NEAR.address;
  readonly farAddress = FAR.address;
  readonly #folder: string;
  readonly #near: Side;
  readonly #far: Side;

  private constructor(folder: string, near: Side, far: Side) {
    this.#folder = folder;
    this.#near = near;
    this.#far = far;
  }

  static async start(t: Scope): Promise<Network> {
    const [near, far] = await Promise.all([makeSide(t, NEAR.device), makeSide(t, FAR.device)]);
    const folder = mkdtempSync(join(tmpdir(), "canfleet-network-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const cable = `near0 netns ${near.keeper.pid} type veth peer name far0 netns ${far.keeper.pid}`;
    run(["ip", "link", "add", ...cable.split(" ")]);
    for (const [side, { address }] of [
      [near, NEAR],
      [far, FAR],
    ] as const) {
      run([...side.enter, "ip", "address", "add", `${address}/24`, "dev", side.device]);
      run([...side.enter, "ip", "link", "set", side.device, "up"]);
    }
    return new Network(folder, near, far);
  }

  /** What to put before a command so that it runs at the near end, where the hub is. */
  get near(): readonly string[] {
    return this.#near.enter;
  }

  get far(): readonly string[] {
    return this.#far.enter;
  }

  /** A file through which a process at the near end can be reached from outside, past the cable. */
  get door(): string {
    return join(this.#folder, "door");
  }

  /** Loses this share of the packets in each direction, by chance: 0 none, 1 all. */
  lose(share: number): void {
    for (const { enter, device } of [this.#near, this.#far]) {
      run([...enter, "iptables", "-F", "INPUT"]);
      const chance = share < 1 ? ["-m", "statistic", "--mode", "random", "--probability", String(share)] : [];
      if (share > 0) run([...enter, "iptables", "-A", "INPUT", "-i", device, ...chance, "-j", "DROP"]);
    }
  }

  /** Lets so much through in each direction, kbit/s; undefined: as much as comes. */
  slow(kbit: number | undefined): void {
    for (const { enter, device } of [this.#near, this.#far]) {
      const change = kbit === undefined ? ["qdisc", "del", "dev", device, "root"] : SLOW(device, kbit);
      run([...enter, "tc", ...change]);
    }
  }
}

async function makeSide(t: Scope, device: string): Promise<Side> {
  const script = "ip link set lo up && echo ready && exec cat";
  const keeper = spawn("unshare", ["--net", "sh", "-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(async () => {
    const ended = once(keeper, "exit");
    if (keeper.exitCode !== null || keeper.signalCode !== null) return;
    keeper.stdin.end();
    await ended;
  });
  await once(keeper.stdout, "data");
  return { keeper, device, enter: ["nsenter", `--net=/proc/${keeper.pid}/ns/net`] };
}

function run([command, ...args]: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command!, args, { encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")}: ${stderr.trim()}`);
}

/** Opens a way to a TCP port that no namespace hides: whoever connects to the socket `path` gets there. */
export async function openDoor(path: string, port: number): Promise<void> {
  const server = createServer((near) => pipeBoth(near, connect(port, "127.0.0.1"))).listen(path);
  await once(server, "listening");
}

/** @returns a TCP port of this namespace through which one gets to the socket `path` */
export async function portToDoor(t: Scope, path: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    sockets.add(near);
    near.on("close", () => sockets.delete(near));
    pipeBoth(near, connect(path));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await Promise.resolve();
  });
  return (server.address() as AddressInfo).port;
}

function pipeBoth(near: Socket, far: Socket): void {
  for (const [socket, other] of [
    [near, far],
    [far, near],
  ] as const) {
    socket.on("error", () => undefined);
    socket.on("close", () => other.destroy());
    socket.pipe(other);
  }
}
