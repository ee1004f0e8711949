import {
  DEFAULT_BASE,
  hubUrlList,
  redactUrls,
  type HubLogin,
  type HubTls,
  type HubUrls,
  type LinkSecurity,
} from "@canfleet/sdk";
import type { Context } from "./context.ts";
import { loadSettings } from "./config/load.ts";
import { BASE_WANTED, HUB_URL_WANTED, isBase, parseHubUrls } from "./config/schema.ts";
import { readLogin, readSecretFile } from "./login.ts";
import { readTls, readTlsFiles, withFlags } from "./tls-files.ts";
import { UsageError } from "./usage-error.ts";

/** The hub of commands that are asked for none. */
export const DEFAULT_HUB_URL = "mqtt://127.0.0.1:1883";

/** Where `edge/bus` names are looked up. */
export interface ClientHub {
  /** In order of preference. */
  urls: HubUrls;
  base: string;
  /** Who to be there. */
  login: HubLogin;
  /** For an encrypted address; undefined: what Node trusts. */
  tls?: HubTls | undefined;
}

/** What a command's flags say of its hub. */
export interface ClientFlags {
  readonly hub: readonly string[];
  readonly base: string | undefined;
  readonly ca: string | undefined;
}

/** And of its raw links. */
export interface LinkFlags extends ClientFlags {
  readonly "link-token-file": string | undefined;
}

/**
 * What a command's raw links shall be secured with: its flags, then environment and files.
 *
 * @throws CanfleetError `CONFIG_INVALID`, `TEXT_NO_FILE`
 */
export async function clientLink(
  flags: Pick<LinkFlags, "ca" | "link-token-file">,
  { tls: isEncrypted }: { tls?: true },
  context: Context,
): Promise<LinkSecurity> {
  const { client } = await loadSettings(context);
  const tokenFile = flags["link-token-file"] ?? client.linkTokenFile;
  return {
    tls: isEncrypted && readTlsFiles(withFlags({ ca: flags.ca }, client.tls), context.cwd),
    token: tokenFile === undefined ? undefined : await readSecretFile(tokenFile, context.cwd),
  };
}

/**
 * The hub that a command shall use: its flags, then environment and files, then this machine.
 *
 * @param isElsewhere whether `--ca` is for a raw link, too
 * @throws UsageError, CanfleetError `CONFIG_INVALID`, `TEXT_NO_FILE`
 */
export async function clientHub(flags: ClientFlags, context: Context, isElsewhere = false): Promise<ClientHub> {
  const { client } = await loadSettings(context);
  const urls = checkedHubUrls(flags.hub) ?? client.hub ?? DEFAULT_HUB_URL;
  return {
    urls,
    tls: readTls(urls, { ca: flags.ca }, client.tls, context.cwd, isElsewhere),
    base: checkedBase(flags.base) ?? client.base ?? DEFAULT_BASE,
    login: await readLogin(client, context.cwd),
  };
}

/** The values of `--hub`, each one address or several behind commas; throws UsageError when one is no hub's address. */
export function checkedHubUrls(given: readonly string[], flag = "--hub"): HubUrls | undefined {
  const urls = given.flatMap((text) => {
    const parsed = parseHubUrls(text);
    if (parsed === undefined) throw new UsageError(`${flag} ${redactUrls(text)}: expected ${HUB_URL_WANTED}`);
    return hubUrlList(parsed);
  });
  return urls.length > 1 ? urls : urls[0];
}

/** Hub addresses as people are shown them. */
export function shownHubs(urls: HubUrls): string {
  return hubUrlList(urls).map(redactUrls).join(", ");
}

/** Hub addresses as they are typed behind a command. */
export function hubFlags(urls: HubUrls): string {
  return hubUrlList(urls)
    .map((url) => `--hub ${redactUrls(url)}`)
    .join(" ");
}

/** The value of `--base`; throws UsageError when topics cannot begin with it. */
export function checkedBase(base: string | undefined): string | undefined {
  if (base === undefined || isBase(base)) return base;
  throw new UsageError(`--base ${base}: expected ${BASE_WANTED}`);
}
