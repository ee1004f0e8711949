import { createRequire } from "node:module";
import { CanfleetError, messageOf } from "@canfleet/sdk";

/** An open socket inside the addon. */
export type NativeHandle = { readonly __canSocket: unique symbol };

/** Columns that the addon fills, in this order: at least 256 rows (dataOffset 257, data 64 bytes a row). */
export type NativeColumns = [
  timestampUs: Float64Array,
  timestampNs: Uint16Array,
  idWord: Uint32Array,
  length: Uint8Array,
  dlc: Uint8Array,
  flags: Uint8Array,
  dataOffset: Uint32Array,
  data: Uint8Array,
];

/** A network interface as it is now. */
export interface InterfaceState {
  /** The kernel's number for it: another one after it was deleted and made again. */
  index: number;
  /** 16 for classic CAN, 72 for CAN FD. */
  mtu: number;
  /** Administratively up. */
  up: boolean;
  /** Up and with a carrier, which a controller that is bus-off has not. */
  running: boolean;
}

/**
 * What `native/src/addon.c` offers. Wrong arguments are a `TypeError`; errors of the system carry the errno's name as
 * `code`.
 */
export interface NativeAddon {
  /**
   * Starts reading.
   *
   * @param receiveBufferBytes what to ask the kernel for; `describe` tells what it granted
   * @param gatherMs 0 hands every frame on at once
   * @param onFrames the first `count` rows of the columns are new, `lost` frames were dropped before them
   * @param onTrouble reading failed; the handle stays open
   * @throws ENODEV no such interface, EADDRNOTAVAIL not a CAN interface, EAFNOSUPPORT no CAN in this kernel
   */
  open(
    channel: string,
    receiveBufferBytes: number,
    gatherMs: number,
    columns: NativeColumns,
    onFrames: (count: number, lost: number) => void,
    onTrouble: (errno: string) => void,
  ): NativeHandle;
  /** As found when it was opened; the kernel counts its own bookkeeping in the receive buffer. */
  describe(handle: NativeHandle): { receiveBufferBytes: number; mtu: number; index: number };
  /** @throws ENODEV */
  probe(channel: string): InterfaceState;
  /** Sends rows `from` to `from + count` without waiting; returns how many were taken. `refusal` says why not all. */
  send(
    handle: NativeHandle,
    idWord: Uint32Array,
    length: Uint8Array,
    dlc: Uint8Array,
    flags: Uint8Array,
    dataOffset: Uint32Array,
    data: Uint8Array,
    from: number,
    count: number,
  ): number;
  /** Name of the error that ended the last `send`; empty where it took everything. */
  refusal(handle: NativeHandle): string;
  /** Filters one after the other: id, mask, and 1 where inverted, else 0. None lets everything pass. */
  setFilters(handle: NativeHandle, words: Uint32Array): void;
  /**
   * Has the kernel send row `row` at once and then each `periodUs`, in place of what ran in the slot, 0–63. A period of
   * 0 gives a slot that runs another frame of the same id and size. Returns the name of the error, or nothing.
   */
  startPeriodic(
    handle: NativeHandle,
    slot: number,
    idWord: Uint32Array,
    length: Uint8Array,
    dlc: Uint8Array,
    flags: Uint8Array,
    dataOffset: Uint32Array,
    data: Uint8Array,
    row: number,
    periodUs: number,
  ): string;
  /** May be called again. */
  stopPeriodic(handle: NativeHandle, slot: number): void;
  /** Sends a datagram to a UNIX socket; see `notify.ts`. Returns the name of the error, or nothing. */
  notify(socket: string, text: string): string;
  /** Nothing is called any more; periodic sends end. May be called again. */
  close(handle: NativeHandle): void;
}

const CURE = "install a C compiler and Node's headers (Debian: build-essential), then run: npm rebuild @canfleet/edge";

/**
 * Loads the addon, which `native/build.mjs` built at install.
 *
 * @throws CanfleetError `CAN_NO_DRIVER` where it was not built or does not load
 */
export function loadNativeAddon(): NativeAddon {
  if (process.platform !== "linux") {
    throw new CanfleetError("CAN_NO_DRIVER", `SocketCAN needs Linux, this is ${process.platform}`);
  }
  try {
    const load = createRequire(import.meta.url);
    return load("../../native/build/Release/canfleet_socketcan.node") as NativeAddon;
  } catch (error) {
    const reason = isMissing(error) ? "is not built" : `does not load (${messageOf(error)})`;
    throw new CanfleetError("CAN_NO_DRIVER", `the native CAN driver ${reason}: ${CURE}`, { cause: error });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND";
}
