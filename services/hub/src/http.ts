import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "@canfleet/sdk";
import type { HubLog } from "./log.ts";
import type { StaticFile } from "./static-files.ts";

export interface Reply {
  status: number;
  contentType: string;
  body: string | Buffer;
  etag?: string;
  /** Headers of this answer alone. */
  headers?: { readonly [name: string]: string };
}

/** What answers a GET of one path. */
export type Route = () => Reply;

/**
 * No script, style, form or connection from or to anywhere else; not inside another page; nothing sniffed, nothing told to
 * others. Without a referrer at all, browsers would send our own forms with Origin: null.
 * MQTT.js makes its keepalive timer a worker of a blob, since browsers all but stop the timers of hidden pages.
 */
const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src blob:; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=()",
};

export function json(value: unknown, status = 200): Reply {
  return { status, contentType: "application/json; charset=utf-8", body: `${JSON.stringify(value)}\n` };
}

export function text(body: string, status = 200, contentType = "text/plain; charset=utf-8"): Reply {
  return { status, contentType, body };
}

/** Writes an answer, with the headers that all of them have. */
export function respond(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const notModified = reply.etag !== undefined && request.headers["if-none-match"] === reply.etag;
  response.writeHead(notModified ? 304 : reply.status, {
    ...SECURITY_HEADERS,
    "content-type": reply.contentType,
    "cache-control": reply.etag === undefined ? "no-store" : "no-cache",
    ...(reply.etag === undefined ? {} : { etag: reply.etag }),
    ...(reply.status === 405 ? { allow: "GET, HEAD" } : {}),
    ...(notModified ? {} : { "content-length": Buffer.byteLength(reply.body) }),
    ...reply.headers,
  });
  response.end(notModified || request.method === "HEAD" ? undefined : reply.body);
}

/** What a request carries; undefined when that is more than `maxBytes`. Slow ones are ended by the server's own limit. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Destroying the request would take the answer with it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Routes of files that were read beforehand. */
export function fileRoutes(files: ReadonlyMap<string, StaticFile>): [path: string, route: Route][] {
  return [...files].map(([path, file]) => [path, () => ({ status: 200, ...file })]);
}

/** Answers GET and HEAD of the known paths. */
export class Router {
  readonly #routes: Map<string, Route>;
  readonly #log: HubLog;

  constructor(routes: Iterable<readonly [path: string, route: Route]>, log: HubLog) {
    this.#routes = new Map(routes);
    this.#log = log;
  }

  /** Answers one request; never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    // Nothing here takes a body; one that is sent all the same is not waited for.
    request.resume();
    respond(request, response, this.#reply(request));
  }

  #reply(request: IncomingMessage): Reply {
    const route = this.#routes.get((request.url ?? "").split("?")[0] ?? "");
    if (!route) return text("not found\n", 404);
    if (request.method !== "GET" && request.method !== "HEAD") return text("only GET and HEAD\n", 405);
    try {
      return route();
    } catch (error) {
      this.#log("error", `${JSON.stringify(request.url)}: ${messageOf(error)}`);
      return text("internal error\n", 500);
    }
  }
}
