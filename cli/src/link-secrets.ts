import { parseBusSpec, type BusConfig, type EdgeConfig, type LinkConfig } from "@canfleet/edge";
import type { LinkSecurity } from "@canfleet/sdk";
import type { EdgeSettings, LinkSettings, TlsSettings } from "./config/schema.ts";
import { readSecretFile } from "./login.ts";
import { isEncryptedLink } from "./open-bus.ts";
import { readTlsFiles, withFlags, type TlsFlags } from "./tls-files.ts";

/** The flags of an edge that name secrets. */
interface SecretFlags extends TlsFlags {
  readonly "link-token-file": string | undefined;
}

/** Whether an edge has raw links inside TLS, which flags for encrypted connections are for. */
export function hasEncryptedLinks({ buses, bridges = [] }: EdgeConfig): boolean {
  const links: LinkSettings[] = buses.flatMap((bus) => bus.links ?? []);
  return links.some(({ tlsFiles }) => tlsFiles !== undefined) || bridges.some(isEncryptedBridge);
}

function isEncryptedBridge(bridge: { a: string; b: string }): boolean {
  return [bridge.a, bridge.b].some((bus) => bus.startsWith("tls:") && isEncryptedLink(parseBusSpec(bus)));
}

/**
 * An edge's configuration with what the secrets' files of its raw links hold.
 *
 * A link that dials trusts, and shows, what it names itself or else what the edge does. One that listens shows a
 * server's certificate, and asks for those of clients only if it names their authority itself.
 *
 * @throws CanfleetError `CONFIG_INVALID`, `TEXT_NO_FILE` naming the file
 */
export async function withLinkSecrets(
  config: EdgeConfig,
  flags: SecretFlags,
  settings: EdgeSettings,
  cwd: string,
): Promise<EdgeConfig> {
  const common = withFlags(flags, settings.tls);
  const defaultTokenFile = flags["link-token-file"] ?? settings.linkTokenFile;
  const read = async (files: TlsSettings | undefined, tokenFile: string | undefined): Promise<LinkSecurity> => ({
    ...(files && { tls: readTlsFiles(files, cwd) ?? {} }),
    ...(tokenFile !== undefined && { token: await readSecretFile(tokenFile, cwd) }),
  });
  const secure = async (link: LinkSettings): Promise<LinkConfig> => {
    const { tlsFiles, tokenFile, ...rest } = link;
    const files = tlsFiles && filesOf(tlsFiles, common, "listen" in link);
    return { ...rest, ...(await read(files, flags["link-token-file"] ?? tokenFile ?? defaultTokenFile)) };
  };
  const buses: BusConfig[] = [];
  for (const bus of config.buses) {
    const links: LinkConfig[] = [];
    for (const link of bus.links ?? []) links.push(await secure(link));
    buses.push({ ...bus, ...(bus.links && { links }) });
  }
  const bridges = config.bridges ?? [];
  const bridgeLinks =
    bridges.length === 0 ? {} : await read(bridges.some(isEncryptedBridge) ? common : undefined, defaultTokenFile);
  return { ...config, buses, ...(Object.keys(bridgeLinks).length > 0 && { bridgeLinks }) };
}

function filesOf(own: TlsSettings, common: TlsSettings, isListening: boolean): TlsSettings {
  const { cert, key } = own.cert === undefined && own.key === undefined ? common : own;
  const ca = own.ca ?? (isListening ? undefined : common.ca);
  const { servername } = own;
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(servername !== undefined && { servername }),
  };
}
