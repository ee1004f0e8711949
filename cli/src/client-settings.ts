import { DEFAULT_BASE, redactUrls, type HubLogin, type HubTls } from "@canfleet/sdk";
import type { Context } from "./context.ts";
import { loadSettings } from "./config/load.ts";
import { BASE_WANTED, HUB_URL_WANTED, isBase, isHubUrl } from "./config/schema.ts";
import { readLogin } from "./login.ts";
import { readTls } from "./tls-files.ts";
import { UsageError } from "./usage-error.ts";

/** The hub of commands that are asked for none. */
export const DEFAULT_HUB_URL = "mqtt://127.0.0.1:1883";

/** Where `edge/bus` names are looked up. */
export interface ClientHub {
  url: string;
  base: string;
  /** Who to be there. */
  login: HubLogin;
  /** For an encrypted address; undefined: what Node trusts. */
  tls?: HubTls | undefined;
}

/**
 * The hub that a command shall use: its flags, then environment and files, then this machine.
 *
 * @throws UsageError, CanfleetError `CONFIG_INVALID`, `TEXT_NO_FILE`
 */
export async function clientHub(
  flags: { readonly hub: string | undefined; readonly base: string | undefined; readonly ca: string | undefined },
  context: Context,
): Promise<ClientHub> {
  const { client } = await loadSettings(context);
  const url = checkedHubUrl(flags.hub) ?? client.hub ?? DEFAULT_HUB_URL;
  return {
    url,
    tls: readTls(url, { ca: flags.ca }, client.tls, context.cwd),
    base: checkedBase(flags.base) ?? client.base ?? DEFAULT_BASE,
    login: await readLogin(client, context.cwd),
  };
}

/** The value of `--hub`; throws UsageError when it is no hub's address. */
export function checkedHubUrl(url: string | undefined): string | undefined {
  if (url === undefined || isHubUrl(url)) return url;
  throw new UsageError(`--hub ${redactUrls(url)}: expected ${HUB_URL_WANTED}`);
}

/** The value of `--base`; throws UsageError when topics cannot begin with it. */
export function checkedBase(base: string | undefined): string | undefined {
  if (base === undefined || isBase(base)) return base;
  throw new UsageError(`--base ${base}: expected ${BASE_WANTED}`);
}
