import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** Names this boot of this machine, `garage-1f0c9a3e`: two programs with the same value see the same `can0`. */
export function hostId(): string {
  return `${hostname()}-${bootId().slice(0, 8)}`;
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/** Name of a bus of this machine among all bridges: `host:garage-1f0c9a3e/can0`. */
export function localBusName(channel: string): string {
  return `host:${hostId()}/${channel}`;
}
