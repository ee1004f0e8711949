import { isCanfleetError } from "@canfleet/sdk";
import type { CanInterface } from "./can-interface.ts";
import { loadNativeAddon } from "./drivers/native-addon.ts";
import { createNativeDriver } from "./drivers/native-driver.ts";
import { createPlayDriver } from "./drivers/play-driver.ts";
import { createSimDriver } from "./drivers/sim/sim-driver.ts";
import { createSocketcanDriver } from "./drivers/socketcan-driver.ts";
import { loadSocketcanLibrary } from "./drivers/socketcan-library.ts";

export interface InterfaceChoice {
  /** `can0`, `sim:NAME`, `play:FILE`. */
  channel: string;
  /** For a real interface. Default "auto": native, or npm socketcan where only that can be loaded. */
  driver?: "auto" | "native" | "socketcan";
  /** Longest wait for more frames while the bus is busy, ms, 0–10. Default 1. */
  gatherMs?: number;
}

/** The driver for a channel, not opened yet. */
export function openCanInterface({ channel, driver = "auto", gatherMs = 1 }: InterfaceChoice): CanInterface {
  if (channel.startsWith("sim:")) return createSimDriver(channel.slice("sim:".length));
  if (channel.startsWith("play:")) return createPlayDriver(channel.slice("play:".length));
  const second =
    driver === "socketcan" || (driver === "auto" && !canLoad(loadNativeAddon) && canLoad(loadSocketcanLibrary));
  // Where neither can be loaded, the native one says what is missing.
  return second ? createSocketcanDriver(channel) : createNativeDriver(channel, { gatherMs });
}

function canLoad(load: () => unknown): boolean {
  try {
    load();
    return true;
  } catch (error) {
    if (isCanfleetError(error, "CAN_NO_DRIVER")) return false;
    throw error;
  }
}
