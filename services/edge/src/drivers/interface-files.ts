import { readdirSync, readFileSync } from "node:fs";
import { isBusName } from "@canfleet/sdk";

/** A network interface as the files below /sys/class/net show it. */
export interface InterfaceFiles {
  /** Another one after the interface was deleted and made again. */
  index: number;
  /** 16 for classic CAN, 72 for CAN FD. */
  mtu: number;
  /** Administratively up. */
  up: boolean;
  isCan: boolean;
  /** Frames that the transmit queue holds. */
  txQueueLength: number;
}

const FOLDER = "/sys/class/net";
/** linux/if.h */
const IFF_UP = 1;
/** `ARPHRD_CAN` of linux/if_arp.h. */
const TYPE_CAN = 280;

/** Looks an interface up; undefined where there is none of this name. Microseconds: sysfs is memory. */
export function readInterface(channel: string): InterfaceFiles | undefined {
  if (!isBusName(channel)) return undefined;
  try {
    const read = (file: string): number => Number(readFileSync(`${FOLDER}/${channel}/${file}`, "utf8"));
    return {
      index: read("ifindex"),
      mtu: read("mtu"),
      up: (read("flags") & IFF_UP) !== 0,
      isCan: read("type") === TYPE_CAN,
      txQueueLength: read("tx_queue_len"),
    };
  } catch {
    return undefined; // also when it is deleted between two of the files
  }
}

/** The CAN interfaces of this machine, by name; none where there is no sysfs. */
export function listCanInterfaces(): (InterfaceFiles & { name: string })[] {
  return interfaceNames().flatMap((name) => {
    const files = readInterface(name);
    return files?.isCan ? [{ name, ...files }] : [];
  });
}

function interfaceNames(): string[] {
  try {
    return readdirSync(FOLDER).sort();
  } catch {
    return [];
  }
}
