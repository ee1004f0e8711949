import type { IncomingMessage, ServerResponse } from "node:http";
import type { AccessControl } from "./access/access-control.ts";
import type { Identity } from "./access/identity.ts";
import type { EnrolmentApi } from "./enrolment/enrolment-api.ts";
import { json, respond, text, type Router } from "./http.ts";
import { LoginPages } from "./login-pages.ts";
import type { HubLog } from "./log.ts";

/** What anybody may ask for: it says nothing of the fleet. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/icon.svg", "/page.css"]);

/** Answers HTTP for a hub with access control: whoever is not known gets no further than `/healthz`, `/readyz` and `/login`. */
export class HttpGuard {
  readonly #access: AccessControl;
  readonly #router: Router;
  readonly #logins: LoginPages;
  readonly #enrolment: EnrolmentApi | undefined;

  /** @param enrolment undefined: none here */
  constructor(access: AccessControl, router: Router, log: HubLog, enrolment?: EnrolmentApi) {
    this.#access = access;
    this.#router = router;
    this.#enrolment = enrolment;
    this.#logins = new LoginPages(access, log);
  }

  /** Answers one request; never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "").split("?")[0] ?? "";
    if (path === "/login" || path === "/logout") {
      this.#logins.handle(path, request, response);
      return;
    }
    if (this.#enrolment?.takes(path, request)) {
      this.#enrolment.handle(path, request, response);
      return;
    }
    const identity = this.#readerOf(request);
    if (OPEN_PATHS.has(path) || (identity && path !== "/api/session")) {
      this.#router.handle(request, response);
      return;
    }
    request.resume();
    if (identity) respond(request, response, json({ name: identity.name, role: identity.role }));
    else if (path === "/") respond(request, response, { ...text("", 303), headers: { location: "login" } });
    else {
      respond(request, response, {
        ...text("this hub wants to know who you are: log in at /login, or Authorization: Bearer TOKEN\n", 401),
        headers: { "www-authenticate": 'Bearer realm="canfleet"' },
      });
    }
  }

  /** Whether a request comes from somebody who may see the fleet. */
  mayRead(request: IncomingMessage): boolean {
    return this.#readerOf(request) !== undefined;
  }

  #readerOf(request: IncomingMessage): Identity | undefined {
    const identity = this.#access.identifyRequest(request);
    return identity?.role === "edge" ? undefined : identity;
  }
}
