import { isEdgeName } from "@canfleet/sdk";

/** What a token of `canfleet enroll NAME` holds: docs/enrolment.md. */
export interface EnrolToken {
  name: string;
  /** `https://HOST:PORT`, 1 to 8. */
  urls: readonly string[];
  /** SHA-256 of the authority's certificate, 64 hex digits. */
  fingerprint: string;
  secret: string;
  /** When it ends, ms since 1970. */
  endsMs: number;
}

const PREFIX = "cfe1_";
export const MAX_URLS = 8;
const MAX_CHARACTERS = 4_096;
export const HTTPS_URL_WANTED = "https://HOST or https://HOST:PORT";
/** Where hubs answer HTTPS unless told otherwise. */
export const DEFAULT_HTTPS_PORT = 8_443;

export function encodeEnrolToken({ name, urls, fingerprint, secret, endsMs }: EnrolToken): string {
  const held = { n: name, u: urls, f: fingerprint, s: secret, e: Math.floor(endsMs / 1000) };
  return `${PREFIX}${Buffer.from(JSON.stringify(held)).toString("base64url")}`;
}

/** Undefined when the text is no such token, or only a part of one. */
export function decodeEnrolToken(text: string): EnrolToken | undefined {
  const [, encoded] = /^cfe1_([A-Za-z0-9_-]+)$/.exec(text.length > MAX_CHARACTERS ? "" : text.trim()) ?? [];
  if (encoded === undefined) return undefined;
  let held: unknown;
  try {
    held = JSON.parse(Buffer.from(encoded, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof held !== "object" || held === null) return undefined;
  const { n: name, u: urls, f: fingerprint, s: secret, e: ends } = held as { [key: string]: unknown };
  const isUrls = (value: unknown): value is string[] =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MAX_URLS &&
    value.every((url) => typeof url === "string" && parseHttpsUrl(url) !== undefined);
  const isText = (value: unknown, form: RegExp): value is string => typeof value === "string" && form.test(value);
  if (typeof name !== "string" || !isEdgeName(name) || !isUrls(urls)) return undefined;
  if (!isText(fingerprint, /^[0-9a-f]{64}$/) || !isText(secret, /^[A-Za-z0-9_-]{43}$/)) return undefined;
  if (typeof ends !== "number" || !Number.isSafeInteger(ends)) return undefined;
  return { name, urls, fingerprint, secret, endsMs: ends * 1000 };
}

/** A hub's HTTPS address; the port is the hub's default when none is written. Undefined when it is none. */
export function parseHttpsUrl(text: string): { host: string; port: number } | undefined {
  const [, bracketed, name, port] =
    /^https:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  const host = bracketed ?? name;
  if (host === undefined || !URL.canParse(text)) return undefined;
  return { host, port: port === undefined ? DEFAULT_HTTPS_PORT : Number(port) };
}
