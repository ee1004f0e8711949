import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "@canfleet/sdk";
import { writePrivateFile } from "../access/private-file.ts";
import type { HubLog } from "../log.ts";
import type { ServerKeyFiles } from "../server-keys.ts";
import { AUTHORITY_KEY, loadAuthority } from "./authority.ts";
import { machineNames, namesIn } from "./server-names.ts";

const DAY_MS = 86_400_000;
/** What is left of a certificate when it is renewed, ms. */
const RENEW_BEFORE_MS = 90 * DAY_MS;
/** How often it is looked at, ms. */
const LOOK_MS = 3_600_000;

/**
 * Renews a hub's own certificate, now and each hour when its end is near: with the same key, so that one file alone is
 * replaced, for the names in it and those that this machine has got since. Only certificates that the authority in
 * the folder of `ca` has signed, and only where its key is.
 *
 * @returns ends it
 */
export async function keepServerCertificate(files: ServerKeyFiles, log: HubLog): Promise<() => void> {
  if (!existsSync(join(dirname(files.ca), AUTHORITY_KEY))) return () => undefined;
  const look = async (): Promise<void> => {
    try {
      await renewIfDue(files, log);
    } catch (error) {
      log("warn", `the hub's certificate cannot be renewed: ${messageOf(error)}`);
    }
  };
  await look();
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  return () => clearInterval(timer);
}

async function renewIfDue(files: ServerKeyFiles, log: HubLog): Promise<void> {
  const before = new X509Certificate(await readFile(files.cert));
  if (Date.parse(before.validTo) - Date.now() > RENEW_BEFORE_MS) return;
  const authority = await loadAuthority(dirname(files.ca));
  if (!before.verify(new X509Certificate(authority.certificate).publicKey)) return;
  const key = createPublicKey(createPrivateKey(await readFile(files.key)));
  const names = [...new Set([...namesIn(before), ...machineNames()])];
  await writePrivateFile(files.cert, serverChain(authority.signServer(names, key), authority.certificate));
  log("info", `the hub's certificate was renewed: it would have ended ${before.validTo}`);
}

/** What a hub shows: its certificate, and the authority, whose fingerprint enrolling edges look for. */
export function serverChain(certificate: string, authority: string): string {
  return `${certificate}${authority}`;
}
