import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { CanfleetError, isEdgeName, messageOf } from "@canfleet/sdk";
import { ROLES, type Role } from "./identity.ts";
import { readPrivateFile, withFileLock, writePrivateFile } from "./private-file.ts";
import { readPasswordHash, type PasswordHash } from "./password-hash.ts";
import { parseSendGrant, type SendGrant } from "./send-grants.ts";

/** Name of the file in the hub's data folder. */
export const ACCESS_FILE = "access.json";
/** What a token begins with, so that it is told from a password, and found by those who look for leaked ones. */
export const TOKEN_PREFIX = "cft_";

const NAME = /^[a-z0-9][a-z0-9_.@-]{0,31}$/;
export const ACCESS_NAME_WANTED = "1 to 32 of a–z, 0–9, . _ @ and -, beginning with a letter or digit";
const MAX_FILE_BYTES = 8 * 1024 * 1024;

export interface AccessEntry {
  readonly role: Role;
  readonly send: readonly SendGrant[];
}

/** A person, or with the role "edge" an edge, with a password. */
export interface UserEntry extends AccessEntry {
  readonly password: PasswordHash;
}

/** A program with a token. */
export interface TokenEntry extends AccessEntry {
  /** SHA-256 of the token, hex: 256 random bits need no slow hash. */
  readonly sha256: string;
}

/** Everybody whom the hub knows by a password or token. */
export interface AccessList {
  readonly users: ReadonlyMap<string, UserEntry>;
  readonly tokens: ReadonlyMap<string, TokenEntry>;
}

export const NOBODY: AccessList = { users: new Map(), tokens: new Map() };

/** Whether somebody can be called that; edges have a narrower rule of their own. */
export function isAccessName(name: string, role: Role): boolean {
  return role === "edge" ? isEdgeName(name) : NAME.test(name);
}

export function accessFilePath(dataFolder: string): string {
  return join(dataFolder, ACCESS_FILE);
}

/** A new token and what is kept of it. */
export function makeToken(): { token: string; sha256: string } {
  const token = `${TOKEN_PREFIX}${randomBytes(32).toString("base64url")}`;
  return { token, sha256: hashToken(token) };
}

export function hashToken(token: string | Uint8Array): string {
  return createHash("sha256").update(token).digest("hex");
}

/**
 * Reads the file; undefined when there is none.
 *
 * @throws CanfleetError `CONFIG_INVALID` when others on this machine can read it, or naming what is wrong in it
 */
export async function readAccessFile(path: string): Promise<AccessList | undefined> {
  const text = await readPrivateFile(path, MAX_FILE_BYTES);
  return text === undefined ? undefined : parseAccess(path, text);
}

/**
 * Writes the file as a whole or not at all, readable by its owner alone.
 *
 * @throws CanfleetError `TEXT_NO_FILE`
 */
export function writeAccessFile(path: string, list: AccessList): Promise<void> {
  return writePrivateFile(path, formatAccess(list));
}

/** What changes a list: the maps are its own. */
export interface AccessDraft {
  users: Map<string, UserEntry>;
  tokens: Map<string, TokenEntry>;
}

/**
 * Reads, changes and writes the file while no other command or hub does.
 *
 * @param change throws what it does not like; then nothing is written
 * @returns whether there was no file before
 * @throws CanfleetError `CONFIG_INVALID`, `TEXT_NO_FILE`
 */
export function updateAccessFile(path: string, change: (draft: AccessDraft) => void): Promise<boolean> {
  return withFileLock(path, async (lock) => {
    const before = await readAccessFile(path);
    const draft = { users: new Map(before?.users), tokens: new Map(before?.tokens) };
    change(draft);
    await lock.assertHeld();
    await writeAccessFile(path, draft);
    return before === undefined;
  });
}

function formatAccess({ users, tokens }: AccessList): string {
  const plain = <E extends AccessEntry>(entries: ReadonlyMap<string, E>): object =>
    Object.fromEntries([...entries].map(([name, entry]) => [name, { ...entry, send: entry.send.map((g) => g.text) }]));
  return `${JSON.stringify({ v: 1, users: plain(users), tokens: plain(tokens) }, null, 2)}\n`;
}

function parseAccess(path: string, text: string): AccessList {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words quote the text, and with it what is secret.
    throw invalid(path, "not JSON");
  }
  if (!isObject(value) || value.v !== 1) throw invalid(path, 'expected an object with "v": 1');
  const users = entriesOf(path, "users", value.users, (entry, fail): UserEntry => {
    const password = readPasswordHash(entry.password);
    return { ...common(entry, fail), password: password ?? fail("password", "N, r, p, salt and hash of scrypt") };
  });
  const tokens = entriesOf(path, "tokens", value.tokens, (entry, fail): TokenEntry => {
    const { sha256 } = entry;
    const isHash = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
    return { ...common(entry, fail), sha256: isHash ? sha256 : fail("sha256", "64 hex digits") };
  });
  return { users, tokens };
}

type Fail = (key: string, wanted: string) => never;

function entriesOf<E extends AccessEntry>(
  path: string,
  section: string,
  value: unknown,
  read: (entry: { [key: string]: unknown }, fail: Fail) => E,
): ReadonlyMap<string, E> {
  if (value === undefined) return new Map();
  if (!isObject(value)) throw invalid(path, `${section}: expected an object`);
  const result = new Map<string, E>();
  for (const [name, entry] of Object.entries(value)) {
    const fail: Fail = (key, wanted) => {
      throw invalid(path, `${section}.${JSON.stringify(name)}.${key}: expected ${wanted}`);
    };
    if (!isObject(entry)) throw invalid(path, `${section}.${JSON.stringify(name)}: expected an object`);
    const made = read(entry, fail);
    if (!isAccessName(name, made.role)) throw invalid(path, `${section}: name ${JSON.stringify(name)} is none`);
    result.set(name, made);
  }
  return result;
}

function common(entry: { [key: string]: unknown }, fail: Fail): AccessEntry {
  const role = ROLES.find((known) => known === entry.role) ?? fail("role", ROLES.join(", "));
  const { send = [] } = entry;
  if (!Array.isArray(send) || !send.every((item) => typeof item === "string")) fail("send", "a list of grants");
  try {
    return { role, send: send.map(parseSendGrant) };
  } catch (error) {
    return fail("send", messageOf(error));
  }
}

function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(path: string, what: string): CanfleetError {
  return new CanfleetError("CONFIG_INVALID", `${path}: ${what}`);
}
