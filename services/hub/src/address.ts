import { isIPv6 } from "node:net";

export interface HostPort {
  host: string;
  /** 0 takes a free one. */
  port: number;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;

/** Whether an address reaches this machine only. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** `host:port` as people and URLs write it. */
export function formatAddress({ host, port }: HostPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** Where this machine reaches a server that listens on `host`: "every address" is no address to connect to. */
export function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
