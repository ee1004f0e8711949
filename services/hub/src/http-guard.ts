import type { IncomingMessage, ServerResponse } from "node:http";
import type { AccessControl } from "./access/access-control.ts";
import { respond, text, type Router } from "./http.ts";

/** What anybody may ask for: it says nothing of the fleet. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/icon.svg", "/page.css"]);

/** Answers HTTP for a hub with access control: whoever is not known gets no further than `/healthz`. */
export class HttpGuard {
  readonly #access: AccessControl;
  readonly #router: Router;

  constructor(access: AccessControl, router: Router) {
    this.#access = access;
    this.#router = router;
  }

  /** Answers one request; never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "").split("?")[0] ?? "";
    if (OPEN_PATHS.has(path) || this.mayRead(request)) {
      this.#router.handle(request, response);
      return;
    }
    request.resume();
    respond(request, response, {
      ...text("this hub wants to know who you are: Authorization: Bearer TOKEN\n", 401),
      headers: { "www-authenticate": 'Bearer realm="canfleet"' },
    });
  }

  /** Whether a request comes from somebody who may see the fleet. */
  mayRead(request: IncomingMessage): boolean {
    const identity = this.#access.identifyRequest(request);
    return identity !== undefined && identity.role !== "edge";
  }
}
