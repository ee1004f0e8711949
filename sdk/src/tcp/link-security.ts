import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { CanfleetError, messageOf } from "../errors.ts";
import { tlsFailure } from "../tls-failure.ts";

/** How a raw link is encrypted (docs/wire-tcp.md 5.1). */
export interface LinkTls {
  /**
   * Certificates of the authorities that are trusted, PEM. Dialling default: those that come with Node. Listening
   * default: nobody is asked for a certificate; with it everybody must show one of these authorities.
   */
  ca?: string | Uint8Array | undefined;
  /** Certificate to show, PEM; with `key`. Listening needs it: one for servers. */
  cert?: string | Uint8Array | undefined;
  /** Private key of `cert`, PEM, without a passphrase. */
  key?: string | Uint8Array | undefined;
  /** Dialling: name that the listener's certificate must have. Default: the host that is dialled. */
  servername?: string | undefined;
}

/** What an end asks of the other one before anything is said. */
export interface LinkSecurity {
  /** Undefined: in plain text. */
  tls?: LinkTls | undefined;
  /** What both ends must know, 16 to 4,096 bytes of UTF-8. Undefined: nothing. */
  token?: string | undefined;
}

/** A connection whose other end has shown all that was asked of it. */
export interface LinkPeer {
  readonly socket: Socket;
  /**
   * With a token: bytes that came behind the proof; they and all that follow are the extended link. Undefined without
   * one: then greeting and hello are still to come.
   */
  readonly proven: Uint8Array | undefined;
  /** Common name in the certificate that it showed. Undefined: it showed none. */
  readonly certificateName: string | undefined;
}

const MIN_TOKEN_BYTES = 16;
const MAX_TOKEN_BYTES = 4096;

/** @throws CanfleetError `CONFIG_INVALID` when it is too short to be kept secret, or too long */
export function assertLinkToken(token: string): void {
  const bytes = Buffer.byteLength(token);
  if (bytes >= MIN_TOKEN_BYTES && bytes <= MAX_TOKEN_BYTES) return;
  const wanted = `${MIN_TOKEN_BYTES} to ${MAX_TOKEN_BYTES} bytes, a long random one`;
  throw new CanfleetError("CONFIG_INVALID", `the token of a raw link has ${bytes} bytes: expected ${wanted}`);
}

/**
 * @param isListening whether this end needs a certificate of its own
 * @throws CanfleetError `CONFIG_INVALID` saying what cannot be used
 */
export function assertLinkTls(tls: LinkTls, isListening: boolean): void {
  const { ca, cert, key } = tls;
  if ((cert === undefined) !== (key === undefined)) throw badTls("a certificate to show needs its private key");
  if (isListening && cert === undefined)
    throw badTls("an end that listens needs a certificate for servers, and its key");
  try {
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({ ...(ca && { ca: text(ca) }), ...(cert && key && { cert: text(cert), key: text(key) }) });
  } catch (error) {
    throw badTls(messageOf(error), error);
  }
}

/** @throws CanfleetError `CONFIG_INVALID` */
export function assertLinkSecurity({ tls, token }: LinkSecurity, isListening: boolean, record: unknown = "auto"): void {
  if (tls) assertLinkTls(tls, isListening);
  if (token === undefined) return;
  assertLinkToken(token);
  if (record !== "auto") {
    const wanted = `a raw link with a token speaks the extended link: record must be auto, not ${String(record)}`;
    throw new CanfleetError("CONFIG_INVALID", wanted);
  }
}

function badTls(what: string, cause?: unknown): CanfleetError {
  return new CanfleetError("CONFIG_INVALID", `TLS of a raw link: ${what}`, { cause });
}

/** What node's TLS takes: PEM as text or as bytes. */
export function text(pem: string | Uint8Array): string {
  return typeof pem === "string" ? pem : Buffer.from(pem).toString("latin1");
}

/** Common name of the certificate that the other end showed. */
export function certificateNameOf(socket: Socket): string | undefined {
  const subject = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.subject : undefined;
  return subject === undefined ? undefined : (/^CN=(.*)$/m.exec(subject)?.[1] ?? subject);
}

/** An error of a connection, in words for people: `LINK_REFUSED` where trying again changes nothing. */
export function linkError(error: Error): CanfleetError {
  if (error instanceof CanfleetError) return error;
  const failure = tlsFailure(error);
  if (failure?.distrusted) return new CanfleetError("LINK_REFUSED", failure.text, { cause: error });
  return new CanfleetError("LINK_UNREACHABLE", failure?.text ?? error.message, { cause: error, retryable: true });
}
