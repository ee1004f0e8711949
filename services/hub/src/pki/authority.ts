import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { assertEdgeName, CanfleetError } from "@canfleet/sdk";
import { readPrivateFile } from "../access/private-file.ts";
import { signCertificate, type CertificateUse } from "./certificate.ts";
import { isServerName } from "./server-names.ts";

const DAY_MS = 86_400_000;
/** Clocks of Pis without a battery are behind: a certificate counts from a day before it was made. */
const BACKDATE_MS = DAY_MS;
const AUTHORITY_DAYS = 20 * 365;
/** Some TLS clients refuse a server certificate that lasts longer than this. */
const SERVER_DAYS = 825;
const DEFAULT_EDGE_DAYS = 730;
/** First part of the name in every edge's certificate. */
export const EDGE_URI_PREFIX = "urn:canfleet:edge:";

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  certificate: string;
  privateKey: string;
}

/** A private key on the curve P-256, PEM (PKCS #8). */
export function makePrivateKey(): string {
  return generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
}

/** The hub's own certificate authority: it signs the hub's server certificate and those of its edges, nothing else. */
export class Authority {
  /** PEM. */
  readonly certificate: string;
  /** SHA-256 of the whole certificate, as `X509Certificate.fingerprint256` writes it. */
  readonly fingerprint256: string;
  readonly #name: string;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  /**
   * @throws CanfleetError `CONFIG_INVALID` when the certificate is no authority's, or the key is not its
   */
  constructor({ certificate, privateKey }: KeyPair) {
    const parsed = new X509Certificate(certificate);
    this.#privateKey = createPrivateKey(privateKey);
    if (!parsed.ca || !parsed.checkPrivateKey(this.#privateKey)) {
      throw new CanfleetError("CONFIG_INVALID", "the authority's certificate and key do not belong together");
    }
    this.#publicKey = parsed.publicKey;
    this.#name = /^CN=(.*)$/m.exec(parsed.subject)?.[1] ?? "";
    this.certificate = parsed.toString();
    this.fingerprint256 = parsed.fingerprint256;
  }

  /** Makes a new authority that is good for 20 years. */
  static make(name: string, now = new Date()): KeyPair {
    const privateKey = makePrivateKey();
    const key = createPrivateKey(privateKey);
    const publicKey = createPublicKey(key);
    const certificate = signCertificate({
      use: { kind: "authority" },
      subject: name,
      publicKey,
      issuer: { name, privateKey: key, publicKey },
      ...validity(now, AUTHORITY_DAYS),
    });
    return { certificate, privateKey };
  }

  /**
   * Makes a server key and its certificate, good for 825 days.
   *
   * @param names host names and IP addresses under which the hub is reached, at least one
   * @throws RangeError for no name, or one that is neither
   */
  makeServer(names: readonly string[], now = new Date()): KeyPair {
    const privateKey = makePrivateKey();
    return { certificate: this.signServer(names, createPublicKey(createPrivateKey(privateKey)), now), privateKey };
  }

  /**
   * A certificate for a server's key, good for 825 days.
   *
   * @param names host names and IP addresses under which the server is reached, at least one
   * @returns PEM, of this certificate alone
   * @throws RangeError for no name, or one that is neither
   */
  signServer(names: readonly string[], publicKey: KeyObject, now = new Date()): string {
    if (names.length === 0) throw new RangeError("a server certificate needs a name");
    for (const name of names) assertServerName(name);
    return this.#sign({ kind: "server", names }, names[0]!, publicKey, SERVER_DAYS, now);
  }

  /**
   * Signs an edge's key: common name and `urn:canfleet:edge:NAME` say whose it is.
   *
   * @param days how long it is good for. Default 730
   * @returns PEM
   * @throws CanfleetError `WIRE_BAD_TOPIC` for a name that no edge can have
   */
  signEdge(name: string, publicKey: KeyObject, days = DEFAULT_EDGE_DAYS, now = new Date()): string {
    assertEdgeName(name);
    return this.#sign({ kind: "edge", uri: `${EDGE_URI_PREFIX}${name}` }, name, publicKey, days, now);
  }

  #sign(use: CertificateUse, subject: string, publicKey: KeyObject, days: number, now: Date): string {
    const issuer = { name: this.#name, privateKey: this.#privateKey, publicKey: this.#publicKey };
    return signCertificate({ use, subject, publicKey, issuer, ...validity(now, days) });
  }
}

function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - BACKDATE_MS), notAfter: new Date(now.getTime() + days * DAY_MS) };
}

function assertServerName(name: string): void {
  if (!isServerName(name)) throw new RangeError(`${JSON.stringify(name)}: expected a host name or an IP address`);
}

/** Files of an authority in a hub's folder. */
export const AUTHORITY_CERTIFICATE = "ca.crt";
export const AUTHORITY_KEY = "ca.key";
const MAX_PEM_BYTES = 65_536;

/**
 * Reads the authority of a hub's folder.
 *
 * @throws CanfleetError `CONFIG_INVALID` naming what is not there, can be read by others, or is none
 */
export async function loadAuthority(folder: string): Promise<Authority> {
  const [certificate, privateKey] = await Promise.all([
    readPem(join(folder, AUTHORITY_CERTIFICATE)),
    readPem(join(folder, AUTHORITY_KEY)),
  ]);
  try {
    return new Authority({ certificate, privateKey });
  } catch (error) {
    if (error instanceof CanfleetError) throw error;
    throw new CanfleetError("CONFIG_INVALID", `${folder}: ${AUTHORITY_CERTIFICATE} or ${AUTHORITY_KEY} is no PEM`);
  }
}

async function readPem(path: string): Promise<string> {
  const text = await readPrivateFile(path, MAX_PEM_BYTES);
  if (text !== undefined) return text;
  throw new CanfleetError("CONFIG_INVALID", `${path} is not there: canfleet hub init makes an authority`);
}
