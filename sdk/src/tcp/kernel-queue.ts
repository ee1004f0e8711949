import { readFile } from "node:fs/promises";
import { isIPv6, SocketAddress, type Socket } from "node:net";
import { endianness } from "node:os";

/** What the kernel has taken of a connection's bytes and not got acknowledged. */
export interface KernelQueue {
  /** Bytes. */
  unacked: number;
  /** The peer has no room for more, and says so each time that the kernel asks. */
  isPeerFull: boolean;
}

/** The ends of a connection as `/proc/net/tcp` can name them. */
export type KernelEnds = Pick<Socket, "localPort" | "remoteAddress" | "remotePort">;

/** Columns of the table, from 0 (Linux, Documentation/networking/proc_net_tcp.rst). */
const REMOTE = 2;
const QUEUES = 4;
const TIMER = 5;
const PROBES = 8;
/** The timer that asks a peer whether it has room again. */
const ZERO_WINDOW_TIMER = "04:";
/** One question may be on its way; the answer sets the count to 0. */
const MAX_OPEN_PROBES = 1;

/**
 * Asks the kernel what it still holds of a connection. Linux tells it to everybody, in `/proc/net/tcp` and `tcp6`.
 *
 * @returns undefined where that cannot be known: another system, or a connection that is over
 */
export async function readKernelQueue(ends: KernelEnds): Promise<KernelQueue | undefined> {
  const { remoteAddress } = ends;
  if (process.platform !== "linux" || remoteAddress === undefined) return undefined;
  try {
    const table = await readFile(isIPv6(remoteAddress) ? "/proc/net/tcp6" : "/proc/net/tcp", "latin1");
    return findQueue(table, ends);
  } catch {
    return undefined;
  }
}

/** Finds a connection in the text of `/proc/net/tcp` or `tcp6`. */
export function findQueue(
  table: string,
  { localPort, remoteAddress, remotePort }: KernelEnds,
): KernelQueue | undefined {
  const local = hexPort(localPort);
  const remote = hexPort(remotePort);
  // Most lines are other connections': they are not taken apart.
  const pattern = new RegExp(`^ *\\d+: [0-9A-F]+${local} [0-9A-F]+${remote} .*$`, "gm");
  for (const [line] of table.matchAll(pattern)) {
    const columns = line.trim().split(/ +/);
    if (!isAddress(columns[REMOTE]!.slice(0, -remote.length), remoteAddress!)) continue;
    return {
      unacked: parseInt(columns[QUEUES]!, 16),
      isPeerFull: columns[TIMER]!.startsWith(ZERO_WINDOW_TIMER) && Number(columns[PROBES]) <= MAX_OPEN_PROBES,
    };
  }
  return undefined;
}

function hexPort(port: number | undefined): string {
  return `:${(port ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Whether an address of the table, in words of the machine's own byte order, is this one. */
function isAddress(hex: string, address: string): boolean {
  const bytes = Buffer.from(hex, "hex");
  if (endianness() === "LE") bytes.swap32();
  if (!isIPv6(address)) return bytes.join(".") === address;
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  const withoutZone = address.replace(/%.*/, "");
  return new SocketAddress({ family: "ipv6", address: groups.join(":") }).address === withoutZone;
}
