import { execFile } from "node:child_process";
import type { CanBusState } from "@canfleet/sdk";
import type { ControllerInfo } from "../can-interface.ts";

/** A machine that cannot start a small program in this time has other worries. */
const TIMEOUT_MS = 2000;
const MAX_OUTPUT_BYTES = 256 * 1024;
const MAX_ERRORS = 65_535;
const MAX_UINT32 = 0xffffffff;

const STATES: ReadonlyMap<unknown, CanBusState> = new Map([
  ["ERROR-ACTIVE", "error-active"],
  ["ERROR-WARNING", "error-warning"],
  ["ERROR-PASSIVE", "error-passive"],
  ["BUS-OFF", "bus-off"],
]);

/**
 * Asks the kernel for a controller's settings and state. They are told by netlink only (IFLA_LINKINFO), which Node
 * does not speak: iproute2's `ip` does, and is on nearly every system that has set up a CAN interface.
 *
 * @returns undefined where `ip` is missing, takes longer than 2 s, or tells of no controller: a virtual interface has
 *   none, and an interface that is gone neither
 */
export async function readController(channel: string): Promise<ControllerInfo | undefined> {
  const text = await runIp(["-details", "-json", "link", "show", "dev", channel]);
  return text === undefined ? undefined : parseController(text);
}

function runIp(args: string[]): Promise<string | undefined> {
  // Where Debian and Alpine have it, and the search path of services and of people who are not root may leave out.
  const env = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin` };
  return new Promise((resolve) => {
    const options = { env, timeout: TIMEOUT_MS, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT_BYTES } as const;
    execFile("ip", args, options, (error, stdout) => resolve(error ? undefined : stdout));
  });
}

/**
 * Reads what `ip -details -json link show` prints for one interface (iproute2, `ip/iplink_can.c`).
 *
 * @returns undefined where it is not that, or not of a CAN controller; single values that are not as they should be
 *   are null
 */
export function parseController(text: string): ControllerInfo | undefined {
  const info = readLinkInfo(text);
  if (info?.info_kind !== "can") return undefined;
  const data = asObject(info.info_data) ?? {};
  const counters = asObject(data.berr_counter);
  return {
    bitrate: bitrateOf(data, "bittiming"),
    dataBitrate: bitrateOf(data, "data_bittiming"),
    busState: STATES.get(data.state) ?? null,
    txErrors: wholeNumber(counters?.tx, MAX_ERRORS),
    rxErrors: wholeNumber(counters?.rx, MAX_ERRORS),
    restartMs: wholeNumber(data.restart_ms, MAX_UINT32),
  };
}

/** Controllers with a list of fixed bit rates (`slcan` is one) have it in a member of its own. 0 is not set yet. */
function bitrateOf(data: JsonObject, timing: "bittiming" | "data_bittiming"): number | null {
  const value = asObject(data[timing])?.bitrate ?? data[`${timing}_bitrate`];
  const bitrate = wholeNumber(value, MAX_UINT32);
  return bitrate === 0 ? null : bitrate;
}

type JsonObject = { [key: string]: unknown };

function readLinkInfo(text: string): JsonObject | undefined {
  try {
    const links: unknown = JSON.parse(text);
    return Array.isArray(links) && links.length === 1 ? asObject(asObject(links[0])?.linkinfo) : undefined;
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null ? (value as JsonObject) : undefined;
}

function wholeNumber(value: unknown, most: number): number | null {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most ? value : null;
}
