import { createHash, randomBytes, sign, type KeyObject } from "node:crypto";
import { isIP, isIPv4 } from "node:net";
import { bits, der, DER_TAG, octets, oid, sequence, time, unsigned } from "./der.ts";

/** RFC 5758, 3.2: ecdsa-with-SHA256. */
export const ECDSA_WITH_SHA256 = sequence(oid("1.2.840.10045.4.3.2"));
const COMMON_NAME = oid("2.5.4.3");

/** What a certificate may be used for, and all in it that differs between the three kinds. */
export type CertificateUse =
  | { kind: "authority" }
  /** Names and IP addresses under which the server is reached. */
  | { kind: "server"; names: readonly string[] }
  /** `urn:canfleet:edge:NAME` */
  | { kind: "edge"; uri: string };

export interface CertificateParts {
  use: CertificateUse;
  /** The common name. */
  subject: string;
  publicKey: KeyObject;
  /** The authority's common name, and both its keys. For the authority itself: its own. */
  issuer: { name: string; privateKey: KeyObject; publicKey: KeyObject };
  notBefore: Date;
  notAfter: Date;
}

/** A name with a common name and nothing else. */
export function distinguishedName(commonName: string): Buffer {
  const text = der(DER_TAG.utf8String, Buffer.from(commonName, "utf8"));
  return sequence(der(DER_TAG.set, sequence(COMMON_NAME, text)));
}

/** The public key as X.509 holds it. */
export function publicKeyInfo(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

/** PEM of any DER. */
export function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** Makes and signs an X.509 v3 certificate (RFC 5280) with ECDSA and SHA-256. @returns PEM */
export function signCertificate(parts: CertificateParts): string {
  const { issuer } = parts;
  const body = sequence(
    der(0xa0, unsigned(Buffer.of(2))), // v3
    unsigned(Buffer.concat([Buffer.of(1), randomBytes(15)])), // 121 random bits; never 0, never negative
    ECDSA_WITH_SHA256,
    distinguishedName(issuer.name),
    sequence(time(parts.notBefore), time(parts.notAfter)),
    distinguishedName(parts.subject),
    publicKeyInfo(parts.publicKey),
    der(0xa3, sequence(...extensions(parts))),
  );
  return pem("CERTIFICATE", sequence(body, ECDSA_WITH_SHA256, bits(sign("sha256", body, issuer.privateKey))));
}

function extensions({ use, publicKey, issuer }: CertificateParts): Buffer[] {
  const isAuthority = use.kind === "authority";
  const common = [
    // Path length 0: the authority signs no other authority.
    extension("2.5.29.19", isAuthority ? sequence(TRUE, unsigned(Buffer.of(0))) : sequence(), "critical"),
    // keyCertSign and cRLSign, or digitalSignature (RFC 5280, 4.2.1.3).
    extension("2.5.29.15", isAuthority ? bits(Buffer.of(0x06), 1) : bits(Buffer.of(0x80), 7), "critical"),
    extension("2.5.29.14", octets(keyIdentifier(publicKey))),
    extension("2.5.29.35", sequence(der(0x80, keyIdentifier(issuer.publicKey)))),
  ];
  if (use.kind === "authority") return common;
  const purpose = use.kind === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
  const names = use.kind === "server" ? use.names.map(serverName) : [der(0x86, Buffer.from(use.uri, "ascii"))];
  return [...common, extension("2.5.29.37", sequence(oid(purpose))), extension("2.5.29.17", sequence(...names))];
}

const TRUE = Buffer.of(0x01, 0x01, 0xff);

function extension(id: string, value: Uint8Array, critical?: "critical"): Buffer {
  return sequence(oid(id), ...(critical ? [TRUE] : []), octets(value));
}

/** RFC 7093, 2 (1): the first 160 bits of a SHA-256. */
function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha256").update(publicKeyInfo(key)).digest().subarray(0, 20);
}

/** dNSName or iPAddress (RFC 5280, 4.2.1.6). */
function serverName(name: string): Buffer {
  return isIP(name) === 0 ? der(0x82, Buffer.from(name, "ascii")) : der(0x87, addressBytes(name));
}

/** Network order; an IPv6 address may be shortened with `::` or end in an IPv4 address. */
function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // The URL parser writes every form of an IPv6 address as groups of hexadecimal digits.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groupsOf = (text = ""): number[] => (text === "" ? [] : text.split(":").map((group) => parseInt(group, 16)));
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const groups = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
