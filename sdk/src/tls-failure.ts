/** Why an encrypted connection did not come about. */
export interface TlsFailure {
  /** Whether one end does not trust the other: trying again changes nothing. Else it is the wrong port or protocol. */
  distrusted: boolean;
  text: string;
}

const UNKNOWN_AUTHORITY = new Set([
  "CERT_SIGNATURE_FAILURE",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "INVALID_CA",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
/** What OpenSSL makes of bytes that are no TLS record. */
const NOT_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/;
const NO_COMMON_VERSION = /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE/;

/**
 * What an error of node's TLS means to a client, in words for people.
 *
 * @returns undefined when it is not about TLS
 */
export function tlsFailure(error: Error): TlsFailure | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  if (UNKNOWN_AUTHORITY.has(code)) return distrusted("its certificate is not from an authority that is trusted here");
  if (code === "CERT_HAS_EXPIRED") return distrusted("its certificate has expired, or the clock here is wrong");
  if (code === "CERT_NOT_YET_VALID") return distrusted("its certificate is not valid yet: is the clock here right?");
  if (code === "INVALID_PURPOSE") return distrusted("its certificate is not that of a server");
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return distrusted(`its certificate is for other names${names(error)}`);
  if (NOT_TLS.test(code)) return { distrusted: false, text: "the port answers, but not with TLS: a plain port?" };
  if (NO_COMMON_VERSION.test(code)) return { distrusted: false, text: "no TLS version in common" };
  if (/ALERT.*(CERT|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    return distrusted(`it does not accept this client's certificate (${alertName(code)})`);
  }
  return undefined;
}

/** Some errors have OpenSSL's own code in their text only: `EPROTO …:error:0A00010B:SSL routines:…:wrong version number:…` */
function codeOf(error: Error): string | undefined {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== "string") return undefined;
  const reason = code === "EPROTO" ? /error:[^:]*:[^:]*:[^:]*:([^:]*)/.exec(error.message)?.[1] : undefined;
  return reason === undefined ? code : `ERR_SSL_${reason.toUpperCase().replaceAll(" ", "_")}`;
}

function distrusted(text: string): TlsFailure {
  return { distrusted: true, text };
}

/** Node lists the names behind the reason. */
function names(error: Error): string {
  const certificate = (error as { cert?: { subjectaltname?: unknown } }).cert;
  return typeof certificate?.subjectaltname === "string" ? ` (${certificate.subjectaltname})` : "";
}

function alertName(code: string): string {
  return code
    .replace(/^ERR_SSL_(TLSV1|TLSV13|SSLV3)_ALERT_/, "")
    .replaceAll("_", " ")
    .toLowerCase();
}
