import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CanfleetError, messageOf } from "@canfleet/sdk";
import { makeCertificateRequest, makePrivateKey, writePrivateFile } from "@canfleet/hub/pki";
import type { HostPort } from "./address.ts";
import type { EdgeTlsSettings } from "./config/schema.ts";
import { HTTPS_URL_WANTED, parseHttpsUrl } from "./enroll-token.ts";
import { askForCertificate } from "./enrolment-client.ts";
import { fileError } from "./file-error.ts";
import { edgeNameIn } from "./tls-files.ts";

/** How often the certificate is looked at, ms. */
const LOOK_MS = 3_600_000;
/** Part of a certificate's time after which it is renewed. */
const RENEW_AFTER = 2 / 3;

/** Absolute names of an edge's files. */
export interface RenewalFiles {
  ca: string;
  cert: string;
  key: string;
}

/**
 * The files that are renewed.
 *
 * @throws CanfleetError `CONFIG_INVALID` when one is not named
 */
export function renewalFiles({ ca, cert, key }: EdgeTlsSettings, cwd: string): RenewalFiles {
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new CanfleetError("CONFIG_INVALID", "edge.tls.renew needs ca, cert and key beside it");
  }
  return { ca: resolve(cwd, ca), cert: resolve(cwd, cert), key: resolve(cwd, key) };
}

/**
 * Fetches a new certificate with the present one, and replaces it: with a new key when both are in one file, which is
 * replaced as a whole; else for the same key, so that no power cut leaves two files that do not belong together.
 *
 * @param url the hub's HTTPS address
 * @returns when the new one ends
 * @throws CanfleetError `HUB_*`, `WIRE_BAD_REQUEST`, `TEXT_NO_FILE`, `CONFIG_INVALID`
 */
export async function renewCertificate(url: string, files: RenewalFiles): Promise<Date> {
  const hub = hubOf(url);
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map(readText));
  const name = edgeNameIn(cert);
  if (name === undefined) throw new CanfleetError("CONFIG_INVALID", `${files.cert}: not a certificate of an edge`);
  const isOneFile = files.cert === files.key;
  const privateKey = isOneFile ? makePrivateKey() : key!;
  const body = { v: 1, request: makeCertificateRequest(name, createPrivateKey(privateKey)) };
  const wanted = { name, privateKey };
  const answer = await askForCertificate(hub, "/api/renew", body, { ca: ca!, cert: cert!, key: key! }, wanted);
  await writePrivateFile(files.cert, isOneFile ? `${privateKey}${answer.certificate}` : answer.certificate);
  return answer.validTo;
}

function hubOf(url: string): HostPort {
  const hub = parseHttpsUrl(url);
  if (hub) return hub;
  throw new CanfleetError("CONFIG_INVALID", `edge.tls.renew ${url}: expected ${HTTPS_URL_WANTED}`);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Renews an edge's certificate when two thirds of its time are over. */
export class CertificateRenewal {
  readonly #url: string;
  readonly #files: RenewalFiles;
  readonly #log: (text: string) => void;
  #timer: NodeJS.Timeout | undefined;

  private constructor(url: string, files: RenewalFiles, log: (text: string) => void) {
    this.#url = url;
    this.#files = files;
    this.#log = log;
  }

  /**
   * Looks now, and each hour; what goes wrong is told, and tried again.
   *
   * @throws CanfleetError `CONFIG_INVALID` when a file is not named
   */
  static start(url: string, tls: EdgeTlsSettings, cwd: string, log: (text: string) => void): CertificateRenewal {
    const renewal = new CertificateRenewal(url, renewalFiles(tls, cwd), log);
    void renewal.#look();
    renewal.#timer = setInterval(() => void renewal.#look(), LOOK_MS).unref();
    return renewal;
  }

  async #look(): Promise<void> {
    try {
      const { validFrom, validTo } = new X509Certificate(await readText(this.#files.cert));
      const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
      const nowMs = Date.now();
      if (nowMs < fromMs + (toMs - fromMs) * RENEW_AFTER) return;
      if (nowMs >= toMs) {
        this.#log(
          `this edge's certificate ended ${validTo}, or the clock here is wrong: canfleet enroll NAME on the hub`,
        );
        return;
      }
      const until = await renewCertificate(this.#url, this.#files);
      this.#log(`this edge's certificate was renewed; it is good until ${until.toISOString().slice(0, 10)}`);
    } catch (error) {
      this.#log(`this edge's certificate cannot be renewed now: ${messageOf(error)}`);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
