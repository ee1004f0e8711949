import type { SpoolConfig } from "@canfleet/edge";

/** What a flag or a setting says instead of a folder when no spool is wanted. */
const OFF = "off";

/**
 * The spool of an edge that has a hub: none unless a flag or a setting names its folder.
 *
 * @param flag `--spool`: a folder, or off
 * @returns undefined: none
 */
export function spoolConfig(
  flag: string | undefined,
  settings: Partial<SpoolConfig> | undefined,
): SpoolConfig | undefined {
  const dir = flag ?? settings?.dir ?? OFF;
  return dir === OFF ? undefined : { ...settings, dir };
}
