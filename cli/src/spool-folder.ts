import type { SpoolConfig } from "@canfleet/edge";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";

/** What a flag or a setting says instead of a folder when no spool is wanted. */
const OFF = "off";
/** How old a batch may get in a spool that nobody asked for, hours: a week. */
const UNASKED_MAX_AGE_HOURS = 168;

/**
 * Where a service may keep a spool without being told to: in the folder that its unit gives it (`StateDirectory=`,
 * systemd.exec(5)), if it can be written. docs/spool.md, 6 says why there alone.
 */
export function serviceSpoolFolder({
  STATE_DIRECTORY,
}: Readonly<Record<string, string | undefined>>): string | undefined {
  const [folder = ""] = (STATE_DIRECTORY ?? "").split(":");
  if (folder === "") return undefined;
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    return undefined;
  }
  return join(folder, "spool");
}

/**
 * The spool of an edge that has a hub.
 *
 * @param flag `--spool`: a folder, or off
 * @param unasked folder when neither the flag nor the settings name one. Default: no spool then
 * @returns undefined: none
 */
export function spoolConfig(
  flag: string | undefined,
  settings: Partial<SpoolConfig> | undefined,
  unasked?: string,
): SpoolConfig | undefined {
  const dir = flag ?? settings?.dir;
  if (dir === OFF) return undefined;
  if (dir !== undefined) return { ...settings, dir };
  return unasked === undefined ? undefined : { maxAgeHours: UNASKED_MAX_AGE_HOURS, ...settings, dir: unasked };
}
