/** Where to listen or to dial. */
export interface HostPort {
  host: string;
  /** 0–65535; 0 lets the kernel choose, when listening. */
  port: number;
}

export const HOST_PORT_WANTED = "HOST:PORT or PORT, for example 127.0.0.1:1883";

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT`, `:PORT` (all addresses) or `PORT` (this machine only).
 *
 * @returns undefined when it is none of them
 */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:(?:\[(?<v6>[0-9A-Fa-f:.%a-z]+)\]|(?<name>[^\s:[\]/]*))(?<colon>:))?(?<port>\d{1,5})$/.exec(text);
  const { v6, name, colon, port: digits } = match?.groups ?? {};
  const port = parsePort(digits ?? "");
  if (port === undefined) return undefined;
  if (colon === undefined) return { host: "127.0.0.1", port };
  const host = v6 ?? (name === "" ? "0.0.0.0" : name);
  return host === undefined ? undefined : { host, port };
}

/** A TCP port, 0–65535; undefined when the text is none. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** As it is written: IPv6 addresses in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
