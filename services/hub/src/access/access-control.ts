import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isEdgeName, messageOf } from "@canfleet/sdk";
import type { Authorization, Publication } from "../authorization.ts";
import type { HubLog } from "../log.ts";
import { hashToken, NOBODY, readAccessFile, TOKEN_PREFIX, type AccessList } from "./access-file.ts";
import { BoundedWork } from "./bounded-work.ts";
import { credentialsOf } from "./connection-credentials.ts";
import { sha256Of } from "./edge-list.ts";
import type { ClientCertificate, Credentials, EdgeRegistry, Identity, LoginRefusal } from "./identity.ts";
import { LogLimit } from "./log-limit.ts";
import { LoginThrottle, networkOf } from "./login-throttle.ts";
import { PageSessions } from "./page-sessions.ts";
import { DEFAULT_COST, verifyPassword, type PasswordHash } from "./password-hash.ts";
import { fileStamp } from "./private-file.ts";
import { checkSend, type SendVerdict } from "./send-check.ts";
import { parseSendGrant } from "./send-grants.ts";
import { TopicRules } from "./topic-rules.ts";

export interface AccessControlOptions {
  base: string;
  /** Path of access.json. */
  path: string;
  log: HubLog;
  /** Lets passwords come over connections that others on the way can read. */
  allowPlainPasswords: boolean;
  /** Edges with certificates. Default: none. */
  edges?: EdgeRegistry;
  /** How passwords are checked. Default: scrypt. */
  verify?: (password: Uint8Array, kept: PasswordHash) => Promise<boolean>;
}

/** How often the file is looked at, ms. */
const RELOAD_MS = 1_000;
/** scrypt at a time, 32 MiB each, and logins that wait for it. */
const MAX_HASHING = 2;
const MAX_WAITING = 64;
/** User name of the hub's own clients; nobody else can be called that. */
export const HUB_USER = "$hub";
/** User name with which a token may come whose name the client does not know: MQTT has no password without a user. */
export const ANY_TOKEN = "token";
const MAX_PASSWORD_BYTES = 1_024;

/** Numbers since the start. */
export interface LoginCounts {
  ok: number;
  wrong: number;
  later: number;
}

/** Access control by access.json, certificates and sessions; the file is read again when it changes. */
export class AccessControl implements Authorization {
  /** Password of the hub's own clients, new at each start. */
  readonly hubSecret = randomBytes(32).toString("base64url");
  readonly logins: LoginCounts = { ok: 0, wrong: 0, later: 0 };
  /** Who is logged in on the page. */
  readonly sessions = new PageSessions();
  readonly #options: AccessControlOptions;
  readonly #rules: TopicRules;
  readonly #throttle = new LoginThrottle();
  readonly #hashing = new BoundedWork(MAX_HASHING, MAX_WAITING);
  readonly #listeners = new Set<() => void>();
  readonly #logLimit: LogLimit;
  /** What an identity's entry was when it was let in. */
  readonly #entries = new WeakMap<Identity, string>();
  readonly #fingerprints = new WeakMap<Identity, string>();
  #list: AccessList;
  #stamp = "";
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: AccessControlOptions, list: AccessList) {
    this.#options = options;
    this.#list = list;
    this.#rules = new TopicRules(options.base);
    this.#logLimit = new LogLimit(options.log);
  }

  /**
   * Reads the file, and again whenever it changes until `close`.
   *
   * @throws CanfleetError `CONFIG_INVALID`
   */
  static async open(options: AccessControlOptions): Promise<AccessControl> {
    const stamp = await fileStamp(options.path);
    const control = new AccessControl(options, (await readAccessFile(options.path)) ?? NOBODY);
    control.#stamp = stamp;
    control.#timer = setInterval(() => {
      if (control.sessions.expire()) control.changed();
      void control.reloadIfChanged();
    }, RELOAD_MS).unref();
    return control;
  }

  /** Whether anybody at all can log in with what the file says. */
  get hasIdentities(): boolean {
    return this.#list.users.size > 0 || this.#list.tokens.size > 0;
  }

  /** Reads the file again when it changed. One that is wrong or gone changes nothing, and is told. */
  async reloadIfChanged(): Promise<void> {
    const { path, log } = this.#options;
    const stamp = await fileStamp(path);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      const list = await readAccessFile(path);
      if (!list) throw new Error(`${path} is gone`);
      this.#list = list;
      log("info", `${path} was read again: ${list.users.size} users, ${list.tokens.size} tokens`);
      this.changed();
    } catch (error) {
      log("error", `${messageOf(error)}; going on with what it said before`);
    }
  }

  /** Tells everybody that identities may not hold any more. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  async identify(credentials: Credentials): Promise<Identity | LoginRefusal> {
    const { username, address, clientId, certificate, will } = credentials;
    const as = certificate === undefined ? `as ${quote(username ?? "")}` : `with ${describeCertificate(certificate)}`;
    const who = `client ${quote(clientId)} ${as} from ${address ?? "unknown"}`;
    const result = await this.#identify(credentials);
    if (typeof result === "string") {
      this.logins[result]++;
      const why = result === "wrong" ? "refused" : "turned away after too many attempts";
      this.#logLimit.warn(`login ${why}: ${who}`);
      return result;
    }
    if (result.role === "edge" && will && !this.mayPublish(result, will)) {
      this.logins.wrong++;
      this.#logLimit.warn(`login refused: ${who}, which is edge ${result.name}, has a will for ${quote(will.topic)}`);
      return "wrong";
    }
    this.logins.ok++;
    return result;
  }

  async #identify(credentials: Credentials): Promise<Identity | LoginRefusal> {
    const { username, password, certificate, cookie, bearer, isPlain } = credentials;
    if (certificate) return this.#byCertificate(certificate.fingerprint256, certificate.name);
    if (password === undefined) {
      if (bearer !== undefined) return this.#byBearer(bearer, isPlain);
      return (cookie === undefined ? undefined : this.#bySession(cookie, isPlain)) ?? "wrong";
    }
    if (username === HUB_USER) return isSame(password, this.hubSecret) ? hubIdentity() : "wrong";
    if (!this.takesPasswordOver(credentials)) {
      this.#logLimit.warn("a password came over a connection without TLS from another machine, and was not looked at");
      return "wrong";
    }
    if (password.length > MAX_PASSWORD_BYTES) return "wrong";
    if (Buffer.from(password.subarray(0, TOKEN_PREFIX.length)).toString("latin1") === TOKEN_PREFIX) {
      return this.#byToken(username ?? "", password);
    }
    return this.#byPassword(username ?? "", password, credentials.address);
  }

  /** Who sends an HTTP request, by its bearer token or cookie; undefined: nobody who is known. */
  identifyRequest(request: IncomingMessage): Identity | undefined {
    const shown = { clientId: "", username: undefined, password: undefined };
    const { bearer, cookie, isPlain } = credentialsOf(request.socket, request, shown);
    if (bearer === undefined) return cookie === undefined ? undefined : this.#bySession(cookie, isPlain);
    const identity = this.#byBearer(bearer, isPlain);
    return typeof identity === "string" ? undefined : identity;
  }

  /** Whether secrets are looked at that come over such a connection. */
  takesPasswordOver({ isPlain }: Pick<Credentials, "isPlain">): boolean {
    return !isPlain || this.#options.allowPlainPasswords;
  }

  #bySession(cookie: string, isPlain: boolean): Identity | undefined {
    const identity = this.takesPasswordOver({ isPlain }) ? this.sessions.identityOf(cookie) : undefined;
    return identity && this.stillHolds(identity) ? identity : undefined;
  }

  #byBearer(token: string, isPlain: boolean): Identity | LoginRefusal {
    if (!this.takesPasswordOver({ isPlain })) return "wrong";
    return this.#byToken(ANY_TOKEN, Buffer.from(token));
  }

  async #byCertificate(fingerprint256: string, name: string): Promise<Identity | LoginRefusal> {
    const { edges } = this.#options;
    // Nobody gets here but with a certificate of our authority; it may have been signed a moment ago.
    if (edges?.edgeOf(fingerprint256) === undefined) await edges?.look();
    const edge = edges?.edgeOf(fingerprint256);
    if (edge === undefined || edge !== name || !isEdgeName(edge)) return "wrong";
    const identity: Identity = { name: edge, kind: "edge", role: "edge", send: [] };
    this.#fingerprints.set(identity, fingerprint256);
    return identity;
  }

  /** A token has 256 random bits: guessing is hopeless, so that nobody who holds one ever has to wait. */
  #byToken(username: string, token: Uint8Array): Identity | LoginRefusal {
    const sha256 = hashToken(token);
    for (const [name, entry] of this.#list.tokens) {
      if (entry.sha256 !== sha256) continue;
      if (username !== "" && username !== ANY_TOKEN && username !== name) return "wrong";
      return this.#remember(
        { name, kind: entry.role === "edge" ? "edge" : "token", role: entry.role, send: entry.send },
        entry,
      );
    }
    return "wrong";
  }

  async #byPassword(name: string, password: Uint8Array, address: string | undefined): Promise<Identity | LoginRefusal> {
    const key = networkOf(address);
    if (!this.#throttle.begin(key)) return "later";
    const user = this.#list.users.get(name);
    const verify = this.#options.verify ?? verifyPassword;
    // An unknown user costs what a known one does.
    const isRight = await this.#hashing.run(() => verify(password, user?.password ?? this.#nobodysPassword()));
    if (isRight === undefined) {
      this.#throttle.forgive(key);
      return "later";
    }
    // The file may have changed meanwhile.
    if (!isRight || !user || this.#list.users.get(name)?.password.hash !== user.password.hash) return "wrong";
    this.#throttle.forgive(key);
    const { role, send } = this.#list.users.get(name)!;
    return this.#remember({ name, kind: role === "edge" ? "edge" : "user", role, send }, user);
  }

  #nobodysPassword(): PasswordHash {
    const [first] = this.#list.users.values();
    const { N, r, p } = first?.password ?? DEFAULT_COST;
    return { N, r, p, salt: Buffer.alloc(16).toString("base64"), hash: randomBytes(32).toString("base64") };
  }

  #remember(identity: Identity, entry: object): Identity {
    this.#entries.set(identity, JSON.stringify(entry));
    return identity;
  }

  mayPublish(identity: Identity, message: Publication): boolean {
    return this.#rules.mayPublish(identity, message);
  }

  checkSend(identity: Identity, edge: string, bus: string, payload: Uint8Array): SendVerdict {
    return identity.kind === "hub" ? { forward: payload } : checkSend(identity, edge, bus, payload);
  }

  maySubscribe(identity: Identity, topicFilter: string): boolean {
    return this.#rules.maySubscribe(identity, topicFilter);
  }

  stillHolds(identity: Identity): boolean {
    const { name, kind } = identity;
    if (kind === "hub") return true;
    if (this.sessions.hasEnded(identity)) return false;
    const fingerprint = this.#fingerprints.get(identity);
    if (fingerprint !== undefined) return this.#options.edges?.edgeOf(fingerprint) === name;
    const known = this.#entries.get(identity);
    const entries: (object | undefined)[] = [this.#list.users.get(name), this.#list.tokens.get(name)];
    return known !== undefined && entries.some((entry) => entry !== undefined && JSON.stringify(entry) === known);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops looking at the file. */
  close(): void {
    clearInterval(this.#timer);
  }
}

function hubIdentity(): Identity {
  return { name: "hub", kind: "hub", role: "admin", send: [parseSendGrant("+/+:all")] };
}

function isSame(given: Uint8Array, wanted: string): boolean {
  const bytes = Buffer.from(wanted);
  return given.length === bytes.length && timingSafeEqual(given, bytes);
}

function describeCertificate({ name, fingerprint256 }: ClientCertificate): string {
  return `the certificate of ${quote(name)}, ${sha256Of(fingerprint256).slice(0, 16)}…`;
}

/** Texts of strangers, as JSON with every character that could forge a line or turn its direction escaped, and short. */
export function quote(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
