import { existsSync } from "node:fs";
import { openCanInterface, type CanSink } from "@canfleet/edge";
import { isCanfleetError, messageOf } from "@canfleet/sdk";
import type { Finding } from "./diagnosis.ts";

/** No interface can be called so by accident: opening it shows whether the driver itself can be loaded. */
const NO_INTERFACE = "no-such-can";

const DEAF_SINK: CanSink = {
  frames: () => undefined,
  lost: () => undefined,
  link: () => undefined,
  warning: () => undefined,
  end: () => undefined,
};

/** There once the kernel has CAN: until then no driver can open anything. */
const KERNEL_CAN = "/proc/net/can";

/** Which SocketCAN drivers can be loaded here, and why not. One of them is enough. */
export async function driverFindings(platform: string = process.platform): Promise<Finding[]> {
  if (platform !== "linux") return [];
  const [native, npm] = await Promise.all([loadFailure("native"), loadFailure("socketcan")]);
  const findings: Finding[] = [];
  if (native === undefined) findings.push({ level: "ok", text: "native driver can be loaded" });
  else if (!existsSync(KERNEL_CAN)) {
    findings.push({ level: "warn", text: native, cure: "modprobe can-raw; without it sim:NAME and play:FILE work" });
    return findings;
  } else {
    const level = npm === undefined ? "warn" : "fail";
    findings.push({ level, text: native, cure: "apt install build-essential, then npm run build" });
  }
  if (npm === undefined) findings.push({ level: "ok", text: "npm socketcan can be loaded" });
  // Only the fallback is missing: nothing to do while the native driver works.
  else if (native !== undefined)
    findings.push({ level: "warn", text: npm, cure: "npm install --no-save socketcan@4.3.1" });
  return findings;
}

/** Why a driver cannot be loaded; undefined when it can. */
async function loadFailure(driver: "native" | "socketcan"): Promise<string | undefined> {
  try {
    const can = openCanInterface({ channel: NO_INTERFACE, driver });
    await can.open(DEAF_SINK);
    await can.close();
    return undefined;
  } catch (error) {
    return isCanfleetError(error, "CAN_NO_DRIVER") ? messageOf(error) : undefined;
  }
}
