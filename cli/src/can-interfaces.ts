import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A CAN interface that the kernel of this machine has. */
export interface CanInterfaceInfo {
  name: string;
  up: boolean;
  /** 16: classic CAN, 72: CAN FD (linux/can.h). */
  mtu: number;
  /** Frames that the transmit queue holds. */
  txQueueLength: number;
}

/** Hardware type of CAN in linux/if_arp.h. */
const ARPHRD_CAN = 280;
/** linux/if.h */
const IFF_UP = 1;

/** CAN interfaces by what the kernel says in sysfs; none where there is no sysfs. */
export function canInterfaces(folder = "/sys/class/net"): CanInterfaceInfo[] {
  return names(folder).flatMap((name) => {
    const read = (file: string): number => readNumber(join(folder, name, file));
    if (read("type") !== ARPHRD_CAN) return [];
    return [{ name, up: (read("flags") & IFF_UP) !== 0, mtu: read("mtu"), txQueueLength: read("tx_queue_len") }];
  });
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** NaN where the file is not there: an interface may go away while it is looked at. */
function readNumber(path: string): number {
  try {
    return Number(readFileSync(path, "utf8").trim());
  } catch {
    return NaN;
  }
}
