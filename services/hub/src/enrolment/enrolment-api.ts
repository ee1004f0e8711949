import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { messageOf } from "@canfleet/sdk";
import { credentialsOf } from "../access/connection-credentials.ts";
import { LogLimit } from "../access/log-limit.ts";
import { LoginThrottle, networkOf } from "../access/login-throttle.ts";
import { json, readBody, respond, type Reply } from "../http.ts";
import type { HubLog } from "../log.ts";
import type { Enrolment, EnrolmentRefusal, Signed } from "./enrolment.ts";

export const ENROL_PATH = "/api/enroll";
export const RENEW_PATH = "/api/renew";

const MAX_BODY_BYTES = 8_192;
const RETRY_AFTER_SECONDS = 60;
const STATUS: Readonly<Record<EnrolmentRefusal, number>> = { malformed: 400, refused: 403, later: 429, failed: 500 };

/** `POST /api/enroll` and `/api/renew` of docs/enrolment.md, over TLS only. */
export class EnrolmentApi {
  readonly #enrolment: Enrolment;
  readonly #mqttPort: number;
  readonly #logLimit: LogLimit;
  readonly #throttle = new LoginThrottle();

  /** @param mqttPort where MQTT over TLS listens */
  constructor(enrolment: Enrolment, mqttPort: number, log: HubLog) {
    this.#enrolment = enrolment;
    this.#mqttPort = mqttPort;
    this.#logLimit = new LogLimit(log);
  }

  /** Whether this request is one for `handle`. */
  takes(path: string, request: IncomingMessage): boolean {
    return (path === ENROL_PATH || path === RENEW_PATH) && request.socket instanceof TLSSocket;
  }

  /** Answers one request; never throws. */
  handle(path: string, request: IncomingMessage, response: ServerResponse): void {
    this.#reply(path, request).then(
      (reply) => respond(request, response, reply),
      (error: unknown) => {
        // A peer that hangs up amid its request comes here as well.
        this.#logLimit.warn(`${path}: ${messageOf(error)}`);
        respond(request, response, refusal("failed"));
      },
    );
  }

  async #reply(path: string, request: IncomingMessage): Promise<Reply> {
    if (request.method !== "POST") {
      request.resume();
      return { ...json({ error: "only POST" }, 405), headers: { allow: "POST" } };
    }
    const { address, certificate } = credentialsOf(request.socket, request, NOBODY);
    const network = networkOf(address);
    if (!this.#throttle.begin(network)) {
      request.resume();
      return refusal("later");
    }
    const body = await readBody(request, MAX_BODY_BYTES);
    if (!body) return { ...json({ error: "too large" }, 413), headers: { connection: "close" } };
    const asked = isJson(request) ? readAsked(body) : undefined;
    let result: Signed | EnrolmentRefusal = "malformed";
    if (asked && path === RENEW_PATH) {
      result = certificate ? await this.#enrolment.renew(certificate, asked.request) : "refused";
    } else if (asked?.name !== undefined && asked.secret !== undefined) {
      result = await this.#enrolment.enrol(asked.name, asked.secret, asked.request);
    }
    if (typeof result === "string") {
      this.#logLimit.warn(`${path} from ${address ?? "unknown"}: ${result}`);
      return refusal(result);
    }
    this.#throttle.forgive(network);
    return json({ v: 1, ...result, mqttPort: this.#mqttPort });
  }
}

const NOBODY = { clientId: "", username: undefined, password: undefined };

function refusal(why: EnrolmentRefusal): Reply {
  const reply = json({ error: why }, STATUS[why]);
  return why === "later" ? { ...reply, headers: { "retry-after": `${RETRY_AFTER_SECONDS}` } } : reply;
}

/** Browsers send this type to another page's server only after having asked it; this one says no. */
function isJson(request: IncomingMessage): boolean {
  return /^application\/json *(;|$)/i.test(request.headers["content-type"] ?? "");
}

interface Asked {
  name: string | undefined;
  secret: string | undefined;
  request: string;
}

/** Undefined when the body is not what it should be. */
function readAsked(body: Buffer): Asked | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { v, name, secret, request } = value as { [key: string]: unknown };
  if (v !== 1 || typeof request !== "string") return undefined;
  const text = (part: unknown): string | undefined => (typeof part === "string" ? part : undefined);
  return { name: text(name), secret: text(secret), request };
}
