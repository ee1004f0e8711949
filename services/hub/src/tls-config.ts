import { existsSync } from "node:fs";
import { join } from "node:path";
import { CanfleetError } from "@canfleet/sdk";
import type { HostPort } from "./address.ts";
import type { ServerKeyFiles } from "./server-keys.ts";

/** Encrypted listeners of a hub. Files: default `server.crt`, `server.key` and `ca.crt` in the data folder. */
export interface HubTlsConfig extends Partial<ServerKeyFiles> {
  /** Where MQTT over TLS listens. Default 127.0.0.1:8883. Not with `brokerUrl`. */
  listen?: HostPort;
  /** Where HTTPS listens: the same as HTTP. Default 127.0.0.1:8443; false: no HTTPS. */
  https?: HostPort | false;
}

const DEFAULT_LISTEN: HostPort = { host: "127.0.0.1", port: 8883 };
const DEFAULT_HTTPS: HostPort = { host: "127.0.0.1", port: 8443 };

/** Encrypted listeners, with all that is needed for them. */
export interface TlsPlan {
  files: ServerKeyFiles;
  /** Undefined: none. */
  mqtt: HostPort | undefined;
  https: HostPort | undefined;
}

/**
 * What is to be encrypted: nothing without `tls` and without a certificate in the data folder.
 *
 * @throws CanfleetError `CONFIG_INVALID` when files are not named
 */
export function planTls(config: {
  tls?: HubTlsConfig;
  dataDir?: string;
  brokerUrl?: unknown;
  http?: unknown;
}): TlsPlan | undefined {
  const { tls = {} } = config;
  const files = filesOf(tls, config.dataDir);
  if (config.tls === undefined && (files.cert === undefined || !existsSync(files.cert))) return undefined;
  const { cert, key, ca } = files;
  if (cert === undefined || key === undefined || ca === undefined) {
    throw new CanfleetError("CONFIG_INVALID", "tls needs cert, key and ca, or a data folder that holds them");
  }
  const https = tls.https === false || config.http === false ? undefined : (tls.https ?? DEFAULT_HTTPS);
  const mqtt = config.brokerUrl === undefined ? (tls.listen ?? DEFAULT_LISTEN) : undefined;
  return { files: { cert, key, ca }, mqtt, https };
}

function filesOf(tls: HubTlsConfig, dataDir: string | undefined): Partial<ServerKeyFiles> {
  if (dataDir === undefined) return tls;
  return { cert: join(dataDir, "server.crt"), key: join(dataDir, "server.key"), ca: join(dataDir, "ca.crt"), ...tls };
}
