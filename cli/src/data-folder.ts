import { resolve } from "node:path";
import { loadSettings } from "./config/load.ts";
import type { Context } from "./context.ts";
import { UsageError } from "./usage-error.ts";

/**
 * The folder of the hub that a command is about, as an absolute path: `--data`, else the settings.
 *
 * @throws UsageError when no folder is named
 */
export async function dataFolder(flag: string | undefined, { env, cwd }: Context): Promise<string> {
  const folder = flag ?? (await loadSettings({ env, cwd })).hub.data;
  if (folder !== undefined) return resolve(cwd, folder);
  throw new UsageError("which hub? --data DIR names the folder that canfleet hub --data has");
}
