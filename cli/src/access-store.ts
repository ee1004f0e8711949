import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import {
  ACCESS_NAME_WANTED,
  accessFilePath,
  isAccessName,
  parseSendGrant,
  readAccessFile,
  writeAccessFile,
  type AccessEntry,
  type AccessList,
  type Role,
} from "@canfleet/hub";
import { loadSettings } from "./config/load.ts";
import { EDGE_NAME_WANTED } from "./config/schema.ts";
import type { Context } from "./context.ts";
import { fileError } from "./file-error.ts";
import { UsageError } from "./usage-error.ts";

/** What `user` and `token` are given alike. */
export interface AccessFlags {
  readonly data: string | undefined;
  readonly role: Role;
  readonly send: readonly string[];
}

/** access.json of one hub, read; what is changed is in the file after `save`. */
export class AccessStore {
  readonly users: Map<string, AccessList["users"] extends ReadonlyMap<string, infer U> ? U : never>;
  readonly tokens: Map<string, AccessList["tokens"] extends ReadonlyMap<string, infer T> ? T : never>;
  /** Whether there was no such file: a hub that runs already has not asked anybody who he is. */
  readonly isNew: boolean;
  readonly #folder: string;

  private constructor(folder: string, list: AccessList | undefined) {
    this.#folder = folder;
    this.isNew = list === undefined;
    this.users = new Map(list?.users);
    this.tokens = new Map(list?.tokens);
  }

  /**
   * @throws UsageError when no folder is named
   * @throws CanfleetError `CONFIG_INVALID` for a file that is wrong, or that others can read
   */
  static async open({ data }: Pick<AccessFlags, "data">, { env, cwd }: Context): Promise<AccessStore> {
    const folder = data ?? (await loadSettings({ env, cwd })).hub.data;
    if (folder === undefined)
      throw new UsageError("which hub? --data DIR names the folder that canfleet hub --data has");
    const path = resolve(cwd, folder);
    return new AccessStore(path, await readAccessFile(accessFilePath(path)));
  }

  /** @throws UsageError when somebody is called that already */
  assertFree(name: string): void {
    if (this.users.has(name) || this.tokens.has(name)) throw new UsageError(`there is a ${name} already`);
  }

  async save(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(this.#folder, error);
    }
    await writeAccessFile(accessFilePath(this.#folder), { users: this.users, tokens: this.tokens });
  }
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

/** @throws UsageError when there is nobody of that name */
export function removeEntry(entries: Map<string, AccessEntry>, name: string): void {
  if (!entries.delete(name)) throw new UsageError(`there is no ${name}`);
}

/** The name that an action needs. @throws UsageError */
export function nameFor(action: string, name: string | undefined): string {
  if (name === undefined) throw new UsageError(`${action} needs a NAME`);
  return name;
}
