import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { isLoopback } from "../address.ts";
import type { ClientCertificate, Credentials } from "./identity.ts";

/** What a connection shows of its peer: address, encryption, certificate, cookie. */
export type Shown = Pick<Credentials, "clientId" | "username" | "password" | "will">;

/**
 * Puts what a client says together with what its connection shows.
 *
 * @param conn the connection, a WebSocket as a stream included
 * @param request with which a WebSocket was opened; undefined for TCP
 */
export function credentialsOf(conn: Duplex, request: IncomingMessage | undefined, shown: Shown): Credentials {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- without a request it is the socket
  const socket = request?.socket ?? (conn as Socket);
  const address = peerAddress(socket);
  const certificate = socket instanceof TLSSocket ? certificateOf(socket) : undefined;
  const cookie = request?.headers.cookie;
  const bearer = /^Bearer +(\S+)$/i.exec(request?.headers.authorization ?? "")?.[1];
  return {
    ...shown,
    address,
    isPlain: !(socket instanceof TLSSocket) && !isLocalPeer(address),
    ...(certificate === undefined ? {} : { certificate }),
    ...(cookie === undefined ? {} : { cookie }),
    ...(bearer === undefined ? {} : { bearer }),
  };
}

/** Address of a peer; an IPv4 peer of a socket for both families as plain IPv4. */
export function peerAddress(socket: Socket): string | undefined {
  return socket.remoteAddress?.replace(/^::ffff:/, "");
}

/** Whether a peer is on this machine. */
export function isLocalPeer(address: string | undefined): boolean {
  return address !== undefined && isLoopback(address);
}

function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined;
  const { subject, fingerprint256 } = socket.getPeerCertificate() as {
    subject?: { CN?: string | string[] };
    fingerprint256?: string;
  };
  const name = subject?.CN;
  return typeof name === "string" && fingerprint256 !== undefined ? { name, fingerprint256 } : undefined;
}
