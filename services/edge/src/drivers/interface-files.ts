import { readFileSync } from "node:fs";

/** A network interface as the files below /sys/class/net show it. */
export interface InterfaceFiles {
  /** Another one after the interface was deleted and made again. */
  index: number;
  /** 16 for classic CAN, 72 for CAN FD. */
  mtu: number;
  /** Administratively up. */
  up: boolean;
  isCan: boolean;
}

const IFF_UP = 1;
/** `ARPHRD_CAN` of linux/if_arp.h. */
const TYPE_CAN = 280;

/** Looks an interface up; undefined where there is none of this name. Microseconds: sysfs is memory. */
export function readInterface(channel: string): InterfaceFiles | undefined {
  if (!/^[A-Za-z0-9._-]{1,15}$/.test(channel)) return undefined;
  try {
    const read = (file: string): number => Number(readFileSync(`/sys/class/net/${channel}/${file}`, "utf8"));
    return {
      index: read("ifindex"),
      mtu: read("mtu"),
      up: (read("flags") & IFF_UP) !== 0,
      isCan: read("type") === TYPE_CAN,
    };
  } catch {
    return undefined; // also when it is deleted between two of the files
  }
}
