import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { CanfleetError } from "@canfleet/sdk";
import { WebSocketServer } from "ws";
import { formatAddress, isLoopback, type HostPort } from "./address.ts";
import type { ServerKeys } from "./server-keys.ts";
import { WebSocketStream } from "./websocket-stream.ts";

/** Who serves a connection. */
export interface ConnectionHandler {
  /** Whether one more connection may come. */
  readonly hasRoom: boolean;
  handle(conn: Duplex, request?: IncomingMessage): void;
}

/** A server that listens. */
export interface Listener {
  /** Where it listens; the port that was taken when 0 was asked for. */
  readonly address: HostPort;
  /** Stops listening and ends what is open. */
  close(): Promise<void>;
}

/** Path of MQTT over WebSocket. */
export const MQTT_PATH = "/mqtt";
/** Bytes of one WebSocket frame that is accepted; MQTT packets may be spread over several. */
const MAX_WEBSOCKET_FRAME_BYTES = 2 * 1024 * 1024;

/**
 * MQTT over TCP, or with keys over TLS.
 *
 * @throws CanfleetError `LINK_PORT_IN_USE`
 */
export async function listenTcp(address: HostPort, handler: ConnectionHandler, keys?: ServerKeys): Promise<Listener> {
  const onSocket = (socket: Socket): void => {
    if (handler.hasRoom && !refusesCertificate(socket)) handler.handle(socket);
    else socket.destroy();
  };
  // Without noDelay a small message waits up to 40 ms for the acknowledgement of the one before.
  const noDelay = { noDelay: true };
  const server = keys ? createTlsServer({ ...keys.options, ...noDelay }, onSocket) : createTcpServer(noDelay, onSocket);
  if (keys) followKeys(server, keys);
  const sockets = trackSockets(server);
  const bound = await listen(server, address);
  return { address: bound, close: () => closeServer(server, sockets) };
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
function refusesCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && !socket.authorized && socket.getPeerX509Certificate() !== undefined;
}

function followKeys(server: Server, keys: ServerKeys): void {
  keys.follow(server as Server & { setSecureContext: () => void });
  server.on("tlsClientError", (_error, socket: Socket) => socket.destroy());
}

/**
 * HTTP, or with keys HTTPS, with MQTT over WebSocket at `/mqtt`.
 *
 * @throws CanfleetError `LINK_PORT_IN_USE`
 */
export async function listenHttp(address: HostPort, options: HttpListenerOptions): Promise<Listener> {
  const local = isLoopback(address.host);
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_WEBSOCKET_FRAME_BYTES,
    perMessageDeflate: false,
    handleProtocols: (protocols) => (protocols.has("mqtt") ? "mqtt" : false),
  });
  const limits = { noDelay: true, requestTimeout: 10_000, headersTimeout: 5_000 };
  const { keys } = options;
  const server = keys ? createHttpsServer({ ...keys.options, ...limits }) : createHttpServer(limits);
  if (keys) {
    followKeys(server, keys);
    server.prependListener("secureConnection", (socket: Socket) => {
      if (refusesCertificate(socket)) socket.destroy();
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
  return { address: bound, close: () => closeServer(server, sockets) };
}

function refuseUpgrade(
  request: IncomingMessage,
  local: boolean,
  { mqtt, mayUpgrade }: HttpListenerOptions,
): string | undefined {
  const path = (request.url ?? "").split("?")[0];
  if (path !== MQTT_PATH) return "404 Not Found";
  if (!isOwnHost(request, local) || !isSameOrigin(request)) return "403 Forbidden";
  if (mayUpgrade && !mayUpgrade(request)) return "401 Unauthorized";
  return mqtt.hasRoom ? undefined : "503 Service Unavailable";
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

async function closeServer(server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const socket of sockets) socket.destroy();
  await closed;
}
