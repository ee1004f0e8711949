import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CanfleetError, isEncrypted, messageOf, type HubTls } from "@canfleet/sdk";
import type { TlsSettings } from "./config/schema.ts";
import { fileError } from "./file-error.ts";
import { UsageError } from "./usage-error.ts";

/** The flags that name files for an encrypted connection. */
export interface TlsFlags {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Reads the files for an encrypted connection: those of the flags, else of the settings. Settings are for whichever hub
 * is encrypted; a flag with a plain address is a mistake.
 *
 * @param cwd what names of files are relative to
 * @throws UsageError; CanfleetError `TEXT_NO_FILE`, `CONFIG_INVALID` naming the file and what it should hold
 */
export async function readTls(
  url: string,
  flags: TlsFlags,
  settings: TlsSettings | undefined,
  cwd: string,
): Promise<HubTls | undefined> {
  const flag = (["ca", "cert", "key"] as const).find((name) => flags[name] !== undefined);
  if (!isEncrypted(url)) {
    if (flag !== undefined) throw new UsageError(`--${flag}: ${url} is not encrypted; mqtts:// and wss:// are`);
    return undefined;
  }
  const ca = await readPem(flags.ca ?? settings?.ca, CERTIFICATE, cwd);
  const own = await readOwn(flags.cert ?? settings?.cert, flags.key ?? settings?.key, cwd);
  const servername = settings?.servername;
  return ca || own || servername !== undefined ? { ca: ca?.pem, ...own, servername } : undefined;
}

/** What is shown to the hub. */
async function readOwn(
  certFile: string | undefined,
  keyFile: string | undefined,
  cwd: string,
): Promise<Pick<HubTls, "cert" | "key"> | undefined> {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new CanfleetError("CONFIG_INVALID", "a certificate to show needs its private key: name both, or neither");
  }
  const cert = await readPem(certFile, CERTIFICATE, cwd);
  const key = await readPem(keyFile, PRIVATE_KEY, cwd);
  if (!cert || !key) return undefined;
  if (!cert.value.checkPrivateKey(key.value)) {
    throw new CanfleetError("CONFIG_INVALID", `${keyFile}: is not the private key of ${certFile}`);
  }
  return { cert: cert.pem, key: key.pem };
}

interface Wanted<T> {
  what: string;
  parse: (pem: string) => T;
}

const CERTIFICATE: Wanted<X509Certificate> = { what: "a certificate", parse: (pem) => new X509Certificate(pem) };
const PRIVATE_KEY: Wanted<KeyObject> = {
  what: "a private key without a passphrase",
  parse: (pem) => createPrivateKey(pem),
};

async function readPem<T>(
  name: string | undefined,
  { what, parse }: Wanted<T>,
  cwd: string,
): Promise<{ pem: string; value: T } | undefined> {
  if (name === undefined) return undefined;
  let pem: string;
  try {
    pem = await readFile(resolve(cwd, name), "utf8");
  } catch (error) {
    throw fileError(name, error);
  }
  try {
    return { pem, value: parse(pem) };
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", `${name}: expected ${what}, PEM (${messageOf(error)})`, {
      cause: error,
    });
  }
}
