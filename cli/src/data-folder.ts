import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadSettings, type LoadedSettings } from "./config/load.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./usage-error.ts";

/** Name of the settings in a hub's folder. */
export const SETTINGS_FILE = "canfleet.yaml";

export interface DataFlags {
  readonly data: string | undefined;
  readonly config?: string | undefined;
}

/**
 * Settings of a hub: of `--config`, else of the canfleet.yaml in the folder of `--data` or CANFLEET_HUB_DATA, else the usual.
 *
 * @throws CanfleetError `CONFIG_INVALID`
 */
export function loadHubSettings({ data, config }: DataFlags, { env, cwd }: Context): Promise<LoadedSettings> {
  const folder = data ?? env.CANFLEET_HUB_DATA ?? "";
  const own = folder === "" ? undefined : join(resolve(cwd, folder), SETTINGS_FILE);
  const file = config ?? (own !== undefined && existsSync(own) ? own : undefined);
  return loadSettings({ env, cwd, file });
}

/**
 * The folder of the hub that a command is about, as an absolute path: `--data`, else the settings.
 *
 * @throws UsageError when no folder is named
 */
export async function dataFolder(flags: DataFlags, context: Context): Promise<string> {
  const folder = flags.data ?? (await loadHubSettings(flags, context)).hub.data;
  if (folder !== undefined) return resolve(context.cwd, folder);
  throw new UsageError("which hub? --data DIR names the folder that canfleet hub --data has");
}
