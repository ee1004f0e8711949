import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  CanfleetError,
  hubUrlList,
  isEncrypted,
  messageOf,
  redactUrls,
  type HubTls,
  type HubUrls,
} from "@canfleet/sdk";
import type { TlsSettings } from "./config/schema.ts";
import { fileError } from "./file-error.ts";
import { UsageError } from "./usage-error.ts";

/** An edge's certificate names it so, as Node writes alternative names (docs/enrolment.md). */
const URI_PREFIX = "URI:urn:canfleet:edge:";

/** The flags that name files for an encrypted connection. */
export interface TlsFlags {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Reads the files for an encrypted connection: those of the flags, else of the settings. Settings are for whichever hub
 * is encrypted; a flag with a plain address is a mistake, unless there is something else that it is for.
 *
 * @param isElsewhere whether the flags are for a raw link, too
 * @param cwd what names of files are relative to
 * @throws UsageError; CanfleetError `TEXT_NO_FILE`, `CONFIG_INVALID` naming the file and what it should hold
 */
export function readTls(
  urls: HubUrls,
  flags: TlsFlags,
  settings: TlsSettings | undefined,
  cwd: string,
  isElsewhere = false,
): HubTls | undefined {
  const flag = (["ca", "cert", "key"] as const).find((name) => flags[name] !== undefined);
  const list = hubUrlList(urls);
  if (!list.some(isEncrypted)) {
    const shown = list.map(redactUrls).join(", ");
    if (flag !== undefined && !isElsewhere)
      throw new UsageError(`--${flag}: ${shown} is not encrypted; mqtts:// and wss:// are`);
    return undefined;
  }
  return readTlsFiles(withFlags(flags, settings), cwd);
}

/** Flags before settings. */
export function withFlags({ ca, cert, key }: TlsFlags, settings: TlsSettings = {}): TlsSettings {
  return { ...settings, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

/**
 * Reads the files that are named; undefined when nothing is.
 *
 * @throws CanfleetError `TEXT_NO_FILE`, `CONFIG_INVALID` naming the file and what it should hold
 */
export function readTlsFiles(files: TlsSettings, cwd: string): HubTls | undefined {
  const ca = readPem(files.ca, CERTIFICATE, cwd);
  const own = readOwn(files.cert, files.key, cwd);
  const { servername } = files;
  return ca || own || servername !== undefined ? { ca: ca?.pem, ...own, servername } : undefined;
}

/**
 * The same, read again before each attempt to connect: an edge's certificate is replaced while it runs. Files that do
 * not belong together, or are gone, change nothing.
 *
 * @param log told once of what is wrong
 * @param isElsewhere as of `readTls`
 */
export function watchTls(
  urls: HubUrls,
  flags: TlsFlags,
  settings: TlsSettings | undefined,
  cwd: string,
  log: (text: string) => void,
  isElsewhere = false,
): (() => HubTls) | undefined {
  const first = readTls(urls, flags, settings, cwd, isElsewhere);
  if (!first) return undefined;
  let current = first;
  let told = "";
  return () => {
    try {
      current = readTls(urls, flags, settings, cwd, isElsewhere) ?? current;
      told = "";
    } catch (error) {
      if (messageOf(error) !== told) log(`going on with the certificate as it was: ${messageOf(error)}`);
      told = messageOf(error);
    }
    return current;
  };
}

/** Name of the edge whose certificate a hub of ours has signed; undefined for others. */
export function edgeNameIn(certificate: HubTls["cert"]): string | undefined {
  if (certificate === undefined) return undefined;
  const names = new X509Certificate(certificate).subjectAltName ?? "";
  return names
    .split(", ")
    .find((entry) => entry.startsWith(URI_PREFIX))
    ?.slice(URI_PREFIX.length);
}

/** What is shown to the hub. */
function readOwn(
  certFile: string | undefined,
  keyFile: string | undefined,
  cwd: string,
): Pick<HubTls, "cert" | "key"> | undefined {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new CanfleetError("CONFIG_INVALID", "a certificate to show needs its private key: name both, or neither");
  }
  const cert = readPem(certFile, CERTIFICATE, cwd);
  const key = readPem(keyFile, PRIVATE_KEY, cwd);
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

function readPem<T>(
  name: string | undefined,
  { what, parse }: Wanted<T>,
  cwd: string,
): { pem: string; value: T } | undefined {
  if (name === undefined) return undefined;
  let pem: string;
  try {
    pem = readFileSync(resolve(cwd, name), "utf8");
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
