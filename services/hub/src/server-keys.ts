import { createPrivateKey, X509Certificate } from "node:crypto";
import { unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import { CanfleetError, messageOf } from "@canfleet/sdk";
import { peerAddress } from "./access/connection-credentials.ts";
import { LogLimit } from "./access/log-limit.ts";
import type { HubLog } from "./log.ts";

/** Names of PEM files. */
export interface ServerKeyFiles {
  /** The hub's certificate, followed by those between it and its authority, if any. */
  cert: string;
  /** Private key of `cert`, without a passphrase. */
  key: string;
  /** Certificate of the authority that signs clients' certificates. */
  ca: string;
}

/** What serves TLS and can be given other keys while it runs. */
interface Rekeyable {
  setSecureContext(options: SecureContextOptions): void;
}

/** How often files are looked at, ms. Looking works where watching does not: network drives, links that are replaced. */
const LOOK_MS = 1_000;
/** Time that a client has for its handshake, ms. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** The hub's TLS key and certificates. Changed files are taken over by new connections; those that stand are kept. */
export class ServerKeys {
  readonly #files: ServerKeyFiles;
  readonly #log: HubLog;
  readonly #logLimit: LogLimit;
  readonly #servers: Rekeyable[] = [];
  #pem: SecureContextOptions;
  #reading: Promise<void> = Promise.resolve();
  readonly #onChange = (): void => {
    this.#reading = this.#reading.then(() => this.#readAgain());
  };

  private constructor(files: ServerKeyFiles, pem: SecureContextOptions, log: HubLog) {
    this.#files = files;
    this.#pem = pem;
    this.#log = log;
    this.#logLimit = new LogLimit(log);
    for (const file of Object.values(files) as string[]) {
      watchFile(file, { interval: LOOK_MS, persistent: false }, this.#onChange);
    }
  }

  /** @throws CanfleetError `CONFIG_INVALID` naming the file and what is wrong with it */
  static async open(files: ServerKeyFiles, log: HubLog): Promise<ServerKeys> {
    return new ServerKeys(files, await read(files), log);
  }

  /** For a server that asks clients for a certificate and takes those that have none. */
  get options(): TlsOptions {
    return {
      ...this.#pem,
      minVersion: "TLSv1.2",
      requestCert: true,
      // Checked by `refusesCertificate`: one that is shown must be good.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    };
  }

  /** Gives this server each new key from now on. */
  follow(server: Rekeyable): void {
    this.#servers.push(server);
  }

  /** Tells of a handshake that came to nothing, a line each, and few a second. */
  refused(socket: Socket, why: string): void {
    this.#logLimit.warn(`TLS connection from ${peerAddress(socket) ?? "unknown"} refused: ${why}`);
  }

  async #readAgain(): Promise<void> {
    try {
      const pem = await read(this.#files);
      if (isSame(pem, this.#pem)) return;
      for (const server of this.#servers) server.setSecureContext({ ...pem, minVersion: "TLSv1.2" });
      this.#pem = pem;
      this.#log("info", `new TLS certificate from ${this.#files.cert}, good until ${validTo(pem)}`);
    } catch (error) {
      // One file may be there before the other: the next change is looked at again.
      this.#log("warn", `TLS goes on with the certificate it has: ${messageOf(error)}`);
    }
  }

  /** Stops looking at the files. */
  close(): void {
    for (const file of Object.values(this.#files) as string[]) unwatchFile(file, this.#onChange);
  }
}

async function read(files: ServerKeyFiles): Promise<SecureContextOptions> {
  // One after the other, so that of several missing files it is always the same one that is named.
  const cert = await readText(files.cert);
  const key = await readText(files.key);
  const ca = await readText(files.ca);
  const certificate = parse(files.cert, "a certificate", () => new X509Certificate(cert));
  const privateKey = parse(files.key, "a private key without a passphrase", () => createPrivateKey(key));
  parse(files.ca, "an authority's certificate", () => new X509Certificate(ca));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CanfleetError("CONFIG_INVALID", `${files.key}: is not the private key of ${files.cert}`);
  }
  return { cert, key, ca };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", `${file}: cannot be read (${messageOf(error)})`, { cause: error });
  }
}

function parse<T>(file: string, wanted: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new CanfleetError("CONFIG_INVALID", `${file}: expected ${wanted}, PEM (${messageOf(error)})`, {
      cause: error,
    });
  }
}

function isSame(a: SecureContextOptions, b: SecureContextOptions): boolean {
  return a.cert === b.cert && a.key === b.key && a.ca === b.ca;
}

function validTo({ cert }: SecureContextOptions): string {
  return new X509Certificate(cert as string).validTo;
}
