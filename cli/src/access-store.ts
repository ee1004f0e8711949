import { mkdir } from "node:fs/promises";
import {
  ACCESS_NAME_WANTED,
  accessFilePath,
  isAccessName,
  parseSendGrant,
  readAccessFile,
  updateAccessFile,
  type AccessDraft,
  type AccessEntry,
  type AccessList,
  type Role,
} from "@canfleet/hub";
import { EDGE_NAME_WANTED } from "./config/schema.ts";
import type { Context } from "./context.ts";
import { dataFolder } from "./data-folder.ts";
import { fileError } from "./file-error.ts";
import { UsageError } from "./usage-error.ts";

/** What `user` and `token` are given alike. */
export interface AccessFlags {
  readonly data: string | undefined;
  readonly role: Role;
  readonly send: readonly string[];
}

/** access.json of one hub, as it was when it was read. */
export class AccessStore {
  readonly users: AccessList["users"];
  readonly tokens: AccessList["tokens"];
  readonly #folder: string;

  private constructor(folder: string, list: AccessList | undefined) {
    this.#folder = folder;
    this.users = list?.users ?? new Map();
    this.tokens = list?.tokens ?? new Map();
  }

  /**
   * @throws UsageError when no folder is named
   * @throws CanfleetError `CONFIG_INVALID` for a file that is wrong, or that others can read
   */
  static async open(flags: Pick<AccessFlags, "data">, context: Context): Promise<AccessStore> {
    const folder = await dataFolder(flags, context);
    return new AccessStore(folder, await readAccessFile(accessFilePath(folder)));
  }

  /**
   * Changes the file as it is now, while no other command does.
   *
   * @param change throws what it does not like; then nothing is written
   * @returns whether there was no file before: a hub that runs already has not asked anybody who he is
   */
  async update(change: (draft: AccessDraft) => void): Promise<boolean> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(this.#folder, error);
    }
    return updateAccessFile(accessFilePath(this.#folder), change);
  }
}

/** @throws UsageError when somebody is called that already */
export function assertFree({ users, tokens }: AccessList, name: string): void {
  if (users.has(name) || tokens.has(name)) throw new UsageError(`there is a ${name} already`);
}

/** @throws UsageError naming the flag that is wrong */
export function newEntry(name: string, { role, send }: AccessFlags): AccessEntry {
  if (!isAccessName(name, role)) {
    throw new UsageError(`name ${name}: expected ${role === "edge" ? EDGE_NAME_WANTED : ACCESS_NAME_WANTED}`);
  }
  if (send.length > 0 && role !== "operator" && role !== "admin") {
    throw new UsageError(`--send is for operators and admins: a ${role} never asks for frames to be sent`);
  }
  try {
    return { role, send: send.map(parseSendGrant) };
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--send: ${error.message}`);
    throw error;
  }
}

/** The entries, a line each, or as JSON; nothing secret in it. */
export function listEntries(entries: ReadonlyMap<string, AccessEntry>, json: boolean): string {
  const rows = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows
    .map(([name, { role, send }]) => {
      const grants = send.map(({ text }) => text);
      if (json) return `${JSON.stringify({ name, role, send: grants })}\n`;
      return `${`${name.padEnd(width)}  ${role.padEnd(8)}  ${grants.join(" ")}`.trimEnd()}\n`;
    })
    .join("");
}

/** The entry of that name. @throws UsageError when there is nobody */
export function assertKnown<E>(entries: ReadonlyMap<string, E>, name: string): E {
  const entry = entries.get(name);
  if (entry === undefined) throw new UsageError(`there is no ${name}`);
  return entry;
}

/** The name that an action needs. @throws UsageError */
export function nameFor(action: string, name: string | undefined): string {
  if (name === undefined) throw new UsageError(`${action} needs a NAME`);
  return name;
}
