import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { CanfleetError } from "@canfleet/sdk";
import { WebSocketServer } from "ws";
import { peerAddress } from "./access/connection-credentials.ts";
import { formatAddress, isLoopback, type HostPort } from "./address.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import type { HubLimits } from "./limits.ts";
import type { ServerKeys } from "./server-keys.ts";
import { WebSocketStream } from "./websocket-stream.ts";

/** Who serves a connection. */
export interface ConnectionHandler {
  handle(conn: Duplex, request?: IncomingMessage): void;
}

/** What all listeners of a hub share. */
export interface ListenerBounds {
  gate: ConnectionGate;
  limits: Pick<HubLimits, "connectTimeoutMs" | "maxPacketBytes">;
}

/** A server that listens. */
export interface Listener {
  /** Where it listens; the port that was taken when 0 was asked for. */
  readonly address: HostPort;
  /** Frees the address; what is open goes on. */
  stopAccepting(): void;
  /** Stops listening and ends what is open. */
  close(): Promise<void>;
}

/** Path of MQTT over WebSocket. */
export const MQTT_PATH = "/mqtt";
/** What a WebSocket frame may have more than the largest packet: its fixed header, or packets around it. */
const WEBSOCKET_FRAME_EXTRA_BYTES = 64 * 1024;
/** How often HTTP looks for requests that take too long, ms. */
const HTTP_LOOK_MS = 1_000;

/**
 * MQTT over TCP, or with keys over TLS.
 *
 * @throws CanfleetError `LINK_PORT_IN_USE`
 */
export async function listenTcp(
  address: HostPort,
  handler: ConnectionHandler,
  bounds: ListenerBounds,
  keys?: ServerKeys,
): Promise<Listener> {
  // Without noDelay a small message waits up to 40 ms for the acknowledgement of the one before.
  const noDelay = { noDelay: true };
  const server = keys
    ? createTlsServer({ ...keys.options, ...noDelay, ...tlsBounds(bounds) })
    : createTcpServer(noDelay);
  const sockets = trackSockets(server);
  server.on("connection", (socket: Socket) => {
    if (bounds.gate.enter(socket) && !keys) handler.handle(socket);
  });
  if (keys) {
    followKeys(server, keys, bounds.gate);
    server.on("secureConnection", (socket: Socket) => {
      if (refusesCertificate(socket, keys)) socket.destroy();
      else handler.handle(socket);
    });
  }
  const bound = await listen(server, address);
  return listenerOf(server, bound, sockets);
}

function tlsBounds({ limits }: ListenerBounds): { handshakeTimeout: number } {
  return { handshakeTimeout: limits.connectTimeoutMs };
}

export interface HttpListenerOptions {
  /** Answers requests; never throws. */
  onRequest: RequestListener;
  /** Serves WebSockets at `/mqtt`. */
  mqtt: ConnectionHandler;
  /** Whether this request may become a WebSocket. Default: yes. */
  mayUpgrade?: (request: IncomingMessage) => boolean;
  /** For HTTPS. Default: HTTP. */
  keys?: ServerKeys | undefined;
}

/** Certificates are optional, but one that is shown must be from our authority, for clients, and within its time. */
function refusesCertificate(socket: Socket, keys: ServerKeys | undefined): boolean {
  if (!(socket instanceof TLSSocket) || socket.authorized || !socket.getPeerX509Certificate()) return false;
  // The types say Error; it is OpenSSL's code, such as CERT_HAS_EXPIRED.
  keys?.refused(socket, `its certificate is not good (${String(socket.authorizationError)})`);
  return true;
}

function followKeys(server: Server, keys: ServerKeys, gate: ConnectionGate): void {
  keys.follow(server as Server & { setSecureContext: () => void });
  server.on("tlsClientError", (_error, socket: Socket) => {
    // One that the gate has cut is gone already.
    const address = peerAddress(socket);
    if (address !== undefined) gate.count("tls-handshake", address);
    socket.destroy();
  });
}

/**
 * HTTP, or with keys HTTPS, with MQTT over WebSocket at `/mqtt`.
 *
 * @throws CanfleetError `LINK_PORT_IN_USE`
 */
export async function listenHttp(
  address: HostPort,
  options: HttpListenerOptions,
  bounds: ListenerBounds,
): Promise<Listener> {
  const local = isLoopback(address.host);
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: bounds.limits.maxPacketBytes + WEBSOCKET_FRAME_EXTRA_BYTES,
    perMessageDeflate: false,
    handleProtocols: (protocols) => (protocols.has("mqtt") ? "mqtt" : false),
  });
  const headersTimeout = bounds.limits.connectTimeoutMs;
  const limits = {
    noDelay: true,
    headersTimeout,
    requestTimeout: 2 * headersTimeout,
    connectionsCheckingInterval: Math.min(HTTP_LOOK_MS, headersTimeout),
  };
  const { keys } = options;
  const server = keys
    ? createHttpsServer({ ...keys.options, ...limits, ...tlsBounds(bounds) })
    : createHttpServer(limits);
  server.on("connection", (socket: Socket) => bounds.gate.enter(socket));
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => endBadHttp(error, socket, bounds.gate));
  if (keys) {
    followKeys(server, keys, bounds.gate);
    server.prependListener("secureConnection", (socket: Socket) => {
      if (refusesCertificate(socket, keys)) socket.destroy();
    });
  }
  server.maxHeadersCount = 100;
  server.on("request", (request, response) => {
    if (isOwnHost(request, local)) options.onRequest(request, response);
    else response.writeHead(421, { "content-type": "text/plain" }).end("this hub does not go by that name\n");
  });
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const refusal = refuseUpgrade(request, local, options);
    if (refusal) {
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) =>
      options.mqtt.handle(new WebSocketStream(webSocket), request),
    );
  });
  const sockets = trackSockets(server);
  const bound = await listen(server, address);
  return listenerOf(server, bound, sockets);
}

function endBadHttp(error: NodeJS.ErrnoException, socket: Socket, gate: ConnectionGate): void {
  const isLate = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const address = peerAddress(socket);
  if (isLate && address !== undefined) gate.count("http-timeout", address);
  const status = isLate ? "408 Request Timeout" : "400 Bad Request";
  if (socket.writable) socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  socket.destroy();
}

function refuseUpgrade(
  request: IncomingMessage,
  local: boolean,
  { mayUpgrade }: HttpListenerOptions,
): string | undefined {
  const path = (request.url ?? "").split("?")[0];
  if (path !== MQTT_PATH) return "404 Not Found";
  if (!isOwnHost(request, local) || !isSameOrigin(request)) return "403 Forbidden";
  return mayUpgrade && !mayUpgrade(request) ? "401 Unauthorized" : undefined;
}

/**
 * Whether a request names this hub. On loopback only loopback names are ours: a page whose name was made to point to
 * 127.0.0.1 (DNS rebinding) would otherwise read the fleet and send frames.
 */
function isOwnHost(request: IncomingMessage, local: boolean): boolean {
  const host = request.headers.host;
  if (host === undefined || !URL.canParse(`http://${host}`)) return false;
  return !local || isLoopback(new URL(`http://${host}`).hostname);
}

/** Browsers let any page open a WebSocket to any address; they say which page it was. Programs send no Origin. */
export function isSameOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

function trackSockets(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    // A peer that resets its connection concerns only whoever serves it, if anybody does yet.
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

async function listen(server: Server, address: HostPort): Promise<HostPort> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, address)));
    server.listen({ host: address.host, port: address.port }, resolve);
  });
  server.removeAllListeners("error");
  // Running out of file descriptors in accept(2) ends no hub.
  server.on("error", () => undefined);
  return { host: address.host, port: (server.address() as AddressInfo).port };
}

function listenError(error: NodeJS.ErrnoException, address: HostPort): Error {
  const where = formatAddress(address);
  if (error.code === "EADDRINUSE") {
    return new CanfleetError("LINK_PORT_IN_USE", `another program listens on ${where}`, { cause: error });
  }
  return new CanfleetError("CONFIG_INVALID", `cannot listen on ${where}: ${error.message}`, { cause: error });
}

function listenerOf(server: Server, address: HostPort, sockets: Set<Socket>): Listener {
  return {
    address,
    stopAccepting: () => void server.close(),
    close: () => closeServer(server, sockets),
  };
}

async function closeServer(server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const socket of sockets) socket.destroy();
  await closed;
}
