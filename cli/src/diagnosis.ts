import { access, readFile } from "node:fs/promises";
import { DEFAULT_BASE, HubConnection, hubUrlList, messageOf } from "@canfleet/sdk";
import type { InterfaceFiles } from "@canfleet/edge";
import type { ClientHub } from "./client-settings.ts";

/** One line of `doctor`. */
export interface Finding {
  level: "ok" | "warn" | "fail";
  /** What was found. */
  text: string;
  /** A command or step that cures it. */
  cure?: string;
}

/** Oldest Node that the project runs on. */
const MIN_NODE = [20, 19] as const;
/** Bytes that a socket's receive queue should be allowed to have: about 1 s of a full 1 Mbit/s bus. */
const WANTED_RECEIVE_BYTES = 4 * 1024 * 1024;
/** Below this a burst of sends meets a full queue at once; the kernel's default for CAN is 10. */
const WANTED_TX_QUEUE = 100;
/** linux/can.h */
const CANFD_MTU = 72;

/** Node and processor. */
export function nodeFinding(version = process.versions.node, arch: string = process.arch): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const text = `node ${version}, ${process.platform} ${arch}`;
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return { level: "ok", text };
  return { level: "fail", text, cure: `install Node ${MIN_NODE.join(".")} or newer` };
}

/** What of an interface is looked at. */
type NamedInterface = Pick<InterfaceFiles, "up" | "mtu" | "txQueueLength"> & { name: string };

/** CAN interfaces of the kernel. */
export function interfaceFindings(interfaces: readonly NamedInterface[], platform: string): Finding[] {
  if (platform !== "linux")
    return [{ level: "warn", text: "SocketCAN is Linux only", cure: "use sim:NAME here, edges on Pis" }];
  if (interfaces.length === 0) {
    const cure = "connect one, or: ip link add vcan0 type vcan && ip link set vcan0 up; sim:car needs none";
    return [{ level: "warn", text: "no CAN interface", cure }];
  }
  return interfaces.flatMap(interfaceFinding);
}

function interfaceFinding({ name, up, mtu, txQueueLength }: NamedInterface): Finding[] {
  const kind = mtu === CANFD_MTU ? "CAN FD" : "classic CAN";
  if (!up) {
    const cure = name.startsWith("vcan") ? `ip link set ${name} up` : `ip link set ${name} up type can bitrate 500000`;
    return [{ level: "fail", text: `${name} is down`, cure }];
  }
  const findings: Finding[] = [
    { level: "ok", text: `${name} is up, ${kind} (MTU ${mtu}), txqueuelen ${txQueueLength}` },
  ];
  if (!name.startsWith("vcan") && txQueueLength < WANTED_TX_QUEUE) {
    const text = `${name} has room for ${txQueueLength} frames to send: bursts will be refused`;
    findings.push({ level: "warn", text, cure: `ip link set ${name} txqueuelen 1000` });
  }
  return findings;
}

/** How large the kernel lets a receive queue be. */
export async function receiveQueueFinding(path = "/proc/sys/net/core/rmem_max"): Promise<Finding | undefined> {
  const bytes = await readNumber(path);
  if (bytes === undefined) return undefined;
  const text = `receive queues up to ${Math.round(bytes / 1024)} KiB (net.core.rmem_max)`;
  if (bytes >= WANTED_RECEIVE_BYTES) return { level: "ok", text };
  return { level: "warn", text, cure: `sysctl -w net.core.rmem_max=${WANTED_RECEIVE_BYTES}, or run the edge as root` };
}

/** Whether something keeps the clock right: times of several edges are compared. */
export async function clockFinding(folder = "/run"): Promise<Finding | undefined> {
  if (process.platform !== "linux") return undefined;
  const signs = ["systemd/timesync/synchronized", "chrony/chronyd.pid", "chronyd.pid", "ntpd.pid"];
  for (const sign of signs) {
    if (await exists(`${folder}/${sign}`)) return { level: "ok", text: `the clock is kept right (${sign})` };
  }
  return {
    level: "warn",
    text: "nothing seems to keep the clock right: times of edges will differ",
    cure: "apt install chrony",
  };
}

/** Whether the hub answers. One that was not asked for and is not there is no fault of this machine. */
export async function hubFinding({ urls, base, tls, login }: ClientHub, isDefault: boolean): Promise<Finding> {
  const connection = new HubConnection(urls, { ...login, tls });
  try {
    await connection.ready(3_000 * hubUrlList(urls).length);
    return { level: "ok", text: `hub ${connection.url} answers${base === DEFAULT_BASE ? "" : `, base ${base}`}` };
  } catch (error) {
    const cure = isDefault
      ? "canfleet hub, or name one: --hub URL or CANFLEET_HUB"
      : "is it running, and the address right?";
    return { level: isDefault ? "warn" : "fail", text: messageOf(error), cure };
  } finally {
    await connection.close();
  }
}

async function readNumber(path: string): Promise<number | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  const value = Number(text?.trim() ?? NaN);
  return Number.isFinite(value) ? value : undefined;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
