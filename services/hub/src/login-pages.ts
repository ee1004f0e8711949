import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { messageOf } from "@canfleet/sdk";
import type { AccessControl } from "./access/access-control.ts";
import { credentialsOf } from "./access/connection-credentials.ts";
import { readBody, respond, text, type Reply } from "./http.ts";
import { isSameOrigin } from "./listeners.ts";
import type { HubLog } from "./log.ts";

/** A name and a password have room in it many times. */
const MAX_FORM_BYTES = 8_192;
const RETRY_AFTER_SECONDS = 60;

/** `/login` and `/logout`: plain forms, which need no script. */
export class LoginPages {
  readonly #access: AccessControl;
  readonly #log: HubLog;

  constructor(access: AccessControl, log: HubLog) {
    this.#access = access;
    this.#log = log;
  }

  /** Answers one request for `/login` or `/logout`; never throws. */
  handle(path: "/login" | "/logout", request: IncomingMessage, response: ServerResponse): void {
    this.#reply(path, request).then(
      (reply) => respond(request, response, reply),
      (error: unknown) => {
        this.#log("error", `${path}: ${messageOf(error)}`);
        respond(request, response, text("internal error\n", 500));
      },
    );
  }

  async #reply(path: "/login" | "/logout", request: IncomingMessage): Promise<Reply> {
    if (request.method === "POST") {
      // Only pages of this hub may do this; a browser always says which page it was.
      if (request.headers.origin === undefined || !isSameOrigin(request)) {
        request.resume();
        return text("only from this hub's own page\n", 403);
      }
      return path === "/login" ? this.#login(request) : this.#logout(request);
    }
    request.resume();
    if (path === "/login" && (request.method === "GET" || request.method === "HEAD")) return loginPage(200, "");
    return { ...text("only POST\n", 405), headers: { allow: path === "/login" ? "GET, HEAD, POST" : "POST" } };
  }

  async #login(request: IncomingMessage): Promise<Reply> {
    const body = await readBody(request, MAX_FORM_BYTES);
    if (!body) return { ...text("too large\n", 413), headers: { connection: "close" } };
    const form = new URLSearchParams(body.toString("latin1"));
    const shown = {
      clientId: "",
      username: form.get("user") ?? "",
      password: Buffer.from(form.get("password") ?? ""),
    };
    const credentials = credentialsOf(request.socket, request, shown);
    const identity = await this.#access.identify(credentials);
    if (identity === "later") {
      const reply = loginPage(429, "Too many attempts. Try again in a minute.");
      return { ...reply, headers: { "retry-after": `${RETRY_AFTER_SECONDS}` } };
    }
    if (identity === "wrong") {
      return loginPage(
        401,
        this.#access.takesPasswordOver(credentials)
          ? "Name or password is wrong."
          : "Without TLS this hub takes no passwords from other machines.",
      );
    }
    if (identity.role === "edge") return loginPage(403, "Edges have no use for this page.");
    // A session that was there before is not gone on with: somebody else may have put its cookie here.
    this.#access.sessions.end(request.headers.cookie);
    const cookie = this.#access.sessions.begin(identity, request.socket instanceof TLSSocket);
    this.#access.changed();
    return { ...text("", 303), headers: { location: "./", "set-cookie": cookie } };
  }

  #logout(request: IncomingMessage): Reply {
    request.resume();
    const cookie = this.#access.sessions.end(request.headers.cookie);
    this.#access.changed();
    return { ...text("", 303), headers: { location: "login", "set-cookie": cookie } };
  }
}

/** @param message words of ours: nothing that came from a stranger */
function loginPage(status: number, message: string): Reply {
  const body = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>canfleet: log in</title>
    <link rel="icon" href="icon.svg" />
    <link rel="stylesheet" href="page.css" />
  </head>
  <body>
    <main id="login">
      <h1>canfleet</h1>
      <form method="post" action="login">
        <p role="alert">${message}</p>
        <label><span>Name</span><input name="user" autocomplete="username" autocapitalize="none" required autofocus /></label>
        <label><span>Password</span><input name="password" type="password" autocomplete="current-password" required /></label>
        <button>Log in</button>
      </form>
    </main>
  </body>
</html>
`;
  return text(body, status, "text/html; charset=utf-8");
}
