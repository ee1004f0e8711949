import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { CanfleetError, messageOf, tlsFailure } from "@canfleet/sdk";
import { sha256Of } from "@canfleet/hub/pki";
import type { HostPort } from "./address.ts";

/** What may pass until a hub has answered, ms. */
const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 65_536;
/** Certificates between a hub's and its authority. */
const MAX_CHAIN = 5;

/** What one asks with. */
export interface EnrolmentKeys {
  /** The authority that is trusted, PEM; no other is. */
  ca: string;
  /** Certificate and key to show, PEM. */
  cert?: string;
  key?: string;
}

/** What a hub answers who has a right to a certificate. */
export interface EnrolmentAnswer {
  /** PEM. */
  certificate: string;
  validTo: Date;
  mqttPort: number;
}

/**
 * Looks at what certificates a hub shows; sends nothing but the handshake of TLS.
 *
 * @returns the certificate with this SHA-256, PEM; undefined when there is none among them
 * @throws CanfleetError `HUB_UNREACHABLE`
 */
export async function findAuthority(hub: HostPort, fingerprint: string): Promise<string | undefined> {
  // Whatever it shows is compared with the fingerprint here, and checked in full before anything is sent.
  const socket = connect({ ...target(hub), rejectUnauthorized: false, minVersion: "TLSv1.2" });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    let certificate = socket.getPeerX509Certificate();
    for (let i = 0; certificate && i < MAX_CHAIN; i++) {
      if (certificate.ca && sha256Of(certificate.fingerprint256) === fingerprint) return certificate.toString();
      certificate = certificate.issuerCertificate;
    }
    return undefined;
  } catch (error) {
    throw unreachable(hub, error);
  } finally {
    socket.destroy();
  }
}

/**
 * Asks a hub for a certificate.
 *
 * @param name the edge's name, which the certificate must have
 * @param privateKey whose certificate it must be, PEM
 * @throws CanfleetError `HUB_UNREACHABLE`; `HUB_REFUSED` when it says no, or is not trusted; `WIRE_BAD_REQUEST` when its answer
 *   is none, or not for this name and key
 */
export async function askForCertificate(
  hub: HostPort,
  path: "/api/enroll" | "/api/renew",
  body: object,
  keys: EnrolmentKeys,
  wanted: { name: string; privateKey: string },
): Promise<EnrolmentAnswer> {
  const { status, text } = await post(hub, path, JSON.stringify(body), keys);
  if (status !== 200) throw refused(hub, path, status);
  const answer = readAnswer(text, keys.ca, wanted);
  if (answer) return answer;
  throw new CanfleetError("WIRE_BAD_REQUEST", `hub ${show(hub)}: its answer is not a certificate for ${wanted.name}`);
}

async function post(
  hub: HostPort,
  path: string,
  body: string,
  { ca, cert, key }: EnrolmentKeys,
): Promise<{ status: number; text: string }> {
  const sent = request({
    ...target(hub),
    path,
    method: "POST",
    headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
    agent: false,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    minVersion: "TLSv1.2",
    ca,
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  });
  try {
    sent.end(body);
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return { status: response.statusCode ?? 0, text: await readText(response) };
  } catch (error) {
    const failure = error instanceof Error ? tlsFailure(error) : undefined;
    if (!failure?.distrusted) throw unreachable(hub, error);
    throw new CanfleetError("HUB_REFUSED", `hub ${show(hub)}: ${failure.text}`, { cause: error });
  } finally {
    sent.destroy();
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > MAX_ANSWER_BYTES) throw new Error("its answer is too long");
  }
  return text;
}

function target({ host, port }: HostPort): { host: string; port: number; servername?: string } {
  return { host, port, ...(isIP(host) === 0 ? { servername: host } : {}) };
}

function readAnswer(
  text: string,
  ca: string,
  { name, privateKey }: { name: string; privateKey: string },
): EnrolmentAnswer | undefined {
  try {
    const { certificate, mqttPort } = JSON.parse(text) as { certificate?: unknown; mqttPort?: unknown };
    if (typeof certificate !== "string" || !Number.isInteger(mqttPort)) return undefined;
    const parsed = new X509Certificate(certificate);
    const isOurs =
      parsed.subject === `CN=${name}` &&
      parsed.checkPrivateKey(createPrivateKey(privateKey)) &&
      parsed.verify(new X509Certificate(ca).publicKey);
    if (!isOurs) return undefined;
    return { certificate: parsed.toString(), validTo: new Date(parsed.validTo), mqttPort: mqttPort as number };
  } catch {
    return undefined;
  }
}

function refused(hub: HostPort, path: string, status: number): CanfleetError {
  const isEnrolment = path === "/api/enroll";
  const why: { [status: number]: string } = {
    401: "it does not enrol edges",
    403: isEnrolment
      ? "it refuses this token: it was used, has ended, or another one took its place"
      : "it does not know this certificate any more",
    404: "it does not enrol edges",
    429: "it wants to be asked later",
    500: "it cannot sign now: its log says why",
  };
  const text = why[status] ?? `it answers ${status}`;
  return new CanfleetError("HUB_REFUSED", `hub ${show(hub)}: ${text}`, { retryable: status === 429 });
}

function unreachable(hub: HostPort, error: unknown): CanfleetError {
  const isLate = error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
  const failure = error instanceof Error ? tlsFailure(error) : undefined;
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const text = isLate ? "no answer" : (failure?.text ?? messageOf(first));
  return new CanfleetError("HUB_UNREACHABLE", `hub ${show(hub)} cannot be reached: ${text}`, {
    cause: error,
    retryable: true,
  });
}

/** As people write it. */
export function show({ host, port }: HostPort): string {
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
