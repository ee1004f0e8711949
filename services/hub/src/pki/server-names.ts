import type { X509Certificate } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import { isIP, isIPv6 } from "node:net";

/** Whether a server certificate can have this name: a host name or an IP address. */
export function isServerName(name: string): boolean {
  if (isIP(name) !== 0) return !name.includes("%");
  return /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*$/.test(name);
}

/**
 * Under what this machine is reached: its name, `NAME.local` (multicast DNS), `localhost`, and its addresses. Those that
 * count on one link only (fe80::) are left out: they need a zone beside them, which a certificate has not.
 */
export function machineNames(): string[] {
  const full = hostname().toLowerCase();
  const short = full.replace(/\..*$/, "");
  const addresses = Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    .filter(({ address, internal }) => !internal && !/^fe[89ab]/i.test(address))
    .map(({ address }) => address);
  const names = [full, `${short}.local`, short, ...addresses, "localhost", "127.0.0.1", "::1"];
  return [...new Set(names)].filter(isServerName);
}

/** The names in a server's certificate, host names first. */
export function namesIn(certificate: X509Certificate): string[] {
  const entries = (certificate.subjectAltName ?? "").split(", ");
  const of = (prefix: string): string[] =>
    entries.filter((entry) => entry.startsWith(prefix)).map((entry) => entry.slice(prefix.length));
  // OpenSSL writes every group of an IPv6 address; URLs have the short form.
  const short = (address: string): string =>
    isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
  return [...of("DNS:"), ...of("IP Address:").map(short)].filter(isServerName);
}
