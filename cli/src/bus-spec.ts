import { parseBusSpec, type BusSpec } from "@canfleet/edge";
import { isCanfleetError } from "@canfleet/sdk";
import { UsageError } from "./usage-error.ts";

/** candump's error mask (`#FFFFFFFF`) and its join (`j`): error frames always pass, and filters are joined by or. */
const IGNORED_FILTER = /,(?:#[0-9A-Fa-f]{1,8}|j)(?=,|$)/gi;

/**
 * Reads a bus as it is written on the command line, filters behind commas as for candump: `pi-7/can0,123:7FF,400~7F0`.
 *
 * @throws UsageError saying what was wanted
 */
export function readBus(text: string): BusSpec {
  try {
    return parseBusSpec(text.replace(IGNORED_FILTER, ""));
  } catch (error) {
    if (isCanfleetError(error, "CONFIG_INVALID")) throw new UsageError(error.message);
    throw error;
  }
}

/** A channel as one word, as log lines need it: `pi-7/can0` becomes `pi-7-can0`. */
export function oneWord(channel: string): string {
  return channel.replace(/[/:\s]+/g, "-");
}
