import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** As much of a client as names it. */
interface NamedClient {
  id: string;
  conn: Duplex;
  req?: IncomingMessage;
}

/** Topics in the log have so many characters at most; they may have 64 KiB. */
const MAX_LOGGED = 100;

/** The socket under a client's connection, a WebSocket included. */
export function socketOf(client: NamedClient): Socket {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- without a request it is the socket
  return client.req?.socket ?? (client.conn as Socket);
}

/** Where a client comes from, `address:port`. */
export function addressOf(client: NamedClient): string {
  const { remoteAddress, remotePort } = socketOf(client);
  return remoteAddress === undefined ? "unknown" : `${remoteAddress}:${remotePort ?? 0}`;
}

/** A client as lines of the log name it. */
export function nameOf(client: NamedClient | null): string {
  return client ? `client ${JSON.stringify(client.id)}` : "the hub";
}

/** The beginning of a topic, as a JSON string. */
export function quoted(topic: string): string {
  return JSON.stringify(topic.length > MAX_LOGGED ? `${topic.slice(0, MAX_LOGGED)}…` : topic);
}
