import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Publication } from "./authorization.ts";
import { transportOf } from "./mqtt5/mqtt5-stream.ts";

/** What is looked at of the broker's clients here. */
export interface ConnectedClient {
  id: string;
  conn: Duplex;
  req?: IncomingMessage | undefined;
}

/** Characters of a topic in the log. */
const MAX_LOGGED = 100;
const POLL_MS = 10;

/** Waits until something is so, for so long at most. */
export async function pollFor(limitMs: number, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isSo() && performance.now() < endMs) await sleep(POLL_MS);
}

/** A payload as the broker has it: text only for some wills. */
export function bytesOf(payload: string | Buffer): Buffer {
  return typeof payload === "string" ? Buffer.from(payload) : payload;
}

/** What a client publishes, or will. */
export function publicationOf(packet: { topic: string; payload: string | Buffer; retain?: boolean }): Publication {
  const { topic, payload, retain = false } = packet;
  return { topic, payload: bytesOf(payload), retain };
}

/** The socket below a client, whatever lies between. */
export function socketOf(client: ConnectedClient): Socket {
  return socketBelow(client.conn, client.req);
}

/** The socket below a connection; a WebSocket's is that of its request. */
export function socketBelow(conn: Duplex, request: IncomingMessage | undefined): Socket {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- without a request it is the socket
  return request?.socket ?? (transportOf(conn) as Socket);
}

/** Address and port of a client. */
export function addressOf(client: ConnectedClient): string {
  return addressOfSocket(socketOf(client));
}

/** Address and port of a peer. */
export function addressOfSocket({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? "unknown" : `${remoteAddress}:${remotePort ?? 0}`;
}

/** A client as lines of the log name it. */
export function nameOf(client: Pick<ConnectedClient, "id"> | null): string {
  return client ? `client ${JSON.stringify(client.id)}` : "the hub";
}

/** The beginning of a topic, which may have 64 KiB. */
export function quoted(topic: string): string {
  return JSON.stringify(topic.length > MAX_LOGGED ? `${topic.slice(0, MAX_LOGGED)}…` : topic);
}

/** Keepalive in seconds; 0, none at all, is as much as the hub waits for anybody. */
export function boundedKeepalive(wanted: number | undefined, maxMs: number): number {
  const maxS = Math.floor(maxMs / 1_000);
  return wanted === undefined || wanted === 0 ? maxS : Math.min(wanted, maxS);
}
