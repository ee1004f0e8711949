import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { CanfleetError, type HubLogin } from "@canfleet/sdk";
import { fileError } from "./file-error.ts";

/** Who to be at the hub, as the settings of `client` and `edge` have it. */
export interface LoginSettings {
  user?: string;
  passwordFile?: string;
  tokenFile?: string;
}

/** MQTT has no password without a user: a hub takes this one for every token. */
const TOKEN_USER = "token";
const MAX_SECRET_BYTES = 4_096;

/**
 * Reads what the hub is to be shown.
 *
 * @throws CanfleetError `CONFIG_INVALID` for settings that do not go together, and a file that others can read;
 *   `TEXT_NO_FILE` for one that is not there
 */
export async function readLogin({ user, passwordFile, tokenFile }: LoginSettings, cwd: string): Promise<HubLogin> {
  if (tokenFile !== undefined && passwordFile !== undefined) {
    throw new CanfleetError("CONFIG_INVALID", "tokenFile and passwordFile are both set: which one is it?");
  }
  if (tokenFile !== undefined) return { username: user ?? TOKEN_USER, password: await readSecretFile(tokenFile, cwd) };
  if (passwordFile !== undefined && user === undefined) {
    throw new CanfleetError("CONFIG_INVALID", "passwordFile is set and user is not: whose password is it?");
  }
  if (user === undefined) return {};
  if (passwordFile === undefined) {
    throw new CanfleetError("CONFIG_INVALID", `user ${user} is set, and neither passwordFile nor tokenFile`);
  }
  return { username: user, password: await readSecretFile(passwordFile, cwd) };
}

/** The first line of a file that only its owner can read. */
export async function readSecretFile(path: string, cwd: string): Promise<string> {
  const file = resolve(cwd, path);
  let text: string;
  try {
    const { mode, size } = await stat(file);
    if ((mode & 0o077) !== 0) {
      throw new CanfleetError("CONFIG_INVALID", `${path}: others on this machine can read it; chmod 600 ${path}`);
    }
    if (size > MAX_SECRET_BYTES) throw new CanfleetError("CONFIG_INVALID", `${path}: larger than a password`);
    text = await readFile(file, "utf8");
  } catch (error) {
    throw error instanceof CanfleetError ? error : fileError(path, error);
  }
  const line = firstLine(text);
  if (line === "") throw new CanfleetError("CONFIG_INVALID", `${path}: nothing in its first line`);
  return line;
}

/** Without its end. */
export function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? "";
}
