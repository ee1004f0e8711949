import { randomBytes } from "node:crypto";
import { hashToken } from "./access-file.ts";
import type { Identity } from "./identity.ts";

const COOKIE = "canfleet_session";
/** A page that is open asks for the fleet each second: this is the time after it was closed, ms. */
const IDLE_MS = 30 * 60_000;
const MAX_AGE_MS = 12 * 3_600_000;
/** Sessions at a time; the oldest one makes room. */
const MAX_SESSIONS = 1_000;

interface Session {
  identity: Identity;
  beganMs: number;
  usedMs: number;
}

/** Who is logged in on the page: in memory, so that a restart of the hub ends all sessions. */
export class PageSessions {
  /** By the hash of the id, so that looking one up tells nothing of the others. */
  readonly #sessions = new Map<string, Session>();
  readonly #ended = new WeakSet<Identity>();
  readonly #now: () => number;

  /** @param now clock in ms. Default: performance.now() */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Begins a session.
   *
   * @param identity made by this login alone
   * @param isSecure whether it came over TLS: then the cookie never goes without
   * @returns Set-Cookie
   */
  begin(identity: Identity, isSecure: boolean): string {
    const id = randomBytes(32).toString("base64url");
    const nowMs = this.#now();
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_SESSIONS && oldest !== undefined) this.#end(oldest);
    this.#sessions.set(hashToken(id), { identity, beganMs: nowMs, usedMs: nowMs });
    return setCookie(id, isSecure);
  }

  /** Whose session a Cookie header names; using it keeps it. */
  identityOf(cookie: string): Identity | undefined {
    const key = keyOf(cookie);
    const session = key === undefined ? undefined : this.#sessions.get(key);
    if (!session || this.#isOver(session)) return undefined;
    session.usedMs = this.#now();
    return session.identity;
  }

  /** Ends the session that a Cookie header names. @returns Set-Cookie that takes the cookie away */
  end(cookie: string | undefined): string {
    const key = cookie === undefined ? undefined : keyOf(cookie);
    if (key !== undefined) this.#end(key);
    return `${setCookie("", false)}; Max-Age=0`;
  }

  /** Whether an identity came by a session that is over. */
  hasEnded(identity: Identity): boolean {
    return this.#ended.has(identity);
  }

  /** Ends what is over. @returns whether there was anything */
  expire(): boolean {
    const over = [...this.#sessions].filter(([, session]) => this.#isOver(session));
    for (const [key] of over) this.#end(key);
    return over.length > 0;
  }

  #isOver({ beganMs, usedMs }: Session): boolean {
    const nowMs = this.#now();
    return nowMs - usedMs > IDLE_MS || nowMs - beganMs > MAX_AGE_MS;
  }

  #end(key: string): void {
    const session = this.#sessions.get(key);
    if (session) this.#ended.add(session.identity);
    this.#sessions.delete(key);
  }
}

function setCookie(id: string, isSecure: boolean): string {
  return `${COOKIE}=${id}; Path=/; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** A browser sends one cookie of a name for a path; of several the first counts. */
function keyOf(cookie: string): string | undefined {
  const prefix = `${COOKIE}=`;
  const pair = cookie.split(/; */).find((part) => part.startsWith(prefix));
  return pair === undefined ? undefined : hashToken(pair.slice(prefix.length));
}
