import { randomInt, X509Certificate } from "node:crypto";
import { mkdir, open, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { CanfleetError, messageOf } from "@canfleet/sdk";
import { accessFilePath, hashPassword, parseSendGrant, readAccessFile, updateAccessFile } from "@canfleet/hub";
import { Authority, machineNames, serverChain } from "@canfleet/hub/pki";
import { SETTINGS_FILE } from "./data-folder.ts";
import { fileError } from "./file-error.ts";

/** What a new hub is to be. */
export interface NewHub {
  /** Absolute path. */
  folder: string;
  /** Host names and addresses for its certificate, besides those of this machine. */
  names: readonly string[];
  /** Who may do everything there. */
  operator: string;
  password: string;
}

/** What was made. */
export interface MadeHub {
  names: string[];
  /** When the hub's certificate ends. */
  validTo: string;
  /** False: somebody is in access.json already, and no operator was added. */
  hasNewOperator: boolean;
}

/** Every letter that is not easily taken for another one: 5 bits each. */
const PASSWORD_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";

/** 120 random bits that can be typed: six groups of four. */
export function makePassword(): string {
  const letter = (): string => PASSWORD_LETTERS[randomInt(PASSWORD_LETTERS.length)]!;
  return Array.from({ length: 6 }, () => Array.from({ length: 4 }, letter).join("")).join("-");
}

/**
 * Fills the folder of a new hub; what is there already is neither changed nor replaced.
 *
 * @throws CanfleetError `TEXT_NO_FILE` when something of a hub is there, or cannot be written; `CONFIG_INVALID` when others
 *   can enter the folder, or for a wrong access.json
 * @throws RangeError for a name that is none
 */
export async function makeHubFolder({ folder, names, operator, password }: NewHub): Promise<MadeHub> {
  await makeFolder(folder);
  const allNames = [...new Set([...names, ...machineNames()])];
  const pair = Authority.make(`canfleet hub ${hostname()}`.slice(0, 64));
  const authority = new Authority(pair);
  const server = authority.makeServer(allNames);
  const list = await readAccessFile(accessFilePath(folder));
  const hasNewOperator = !list || list.users.size + list.tokens.size === 0;
  await writeNew(folder, {
    "ca.key": pair.privateKey,
    "ca.crt": authority.certificate,
    "server.key": server.privateKey,
    "server.crt": serverChain(server.certificate, authority.certificate),
    [SETTINGS_FILE]: SETTINGS,
  });
  if (hasNewOperator) {
    const entry = {
      role: "operator" as const,
      send: [parseSendGrant("+/+:all")],
      password: await hashPassword(password),
    };
    await updateAccessFile(accessFilePath(folder), ({ users }) => users.set(operator, entry));
  }
  return { names: allNames, validTo: new X509Certificate(server.certificate).validTo, hasNewOperator };
}

/** Makes a folder for its owner alone, or uses one that is that. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { mode } = await stat(folder);
    if ((mode & 0o077) === 0) return;
  } catch (error) {
    throw fileError(folder, error);
  }
  throw new CanfleetError("CONFIG_INVALID", `${folder}: others on this machine can enter it; chmod 700 ${folder}`);
}

/** All files or none. */
async function writeNew(folder: string, files: { [name: string]: string }): Promise<void> {
  const made: string[] = [];
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      const file = await open(path, "wx", 0o600);
      made.push(path);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
    }
  } catch (error) {
    for (const path of made) await rm(path, { force: true });
    const { code, path = folder } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "exists already, and nothing was changed: is this the folder of another hub?" : "";
    throw new CanfleetError("TEXT_NO_FILE", `${path}: ${why === "" ? messageOf(error) : why}`, { cause: error });
  }
}

const SETTINGS = `# Settings of this hub; canfleet hub --data with this folder reads them. All there are: docs/configuration.md
hub:
  # In plain text, for this machine alone: MQTT; page, API and MQTT over WebSocket.
  listen: 127.0.0.1:1883
  http: 127.0.0.1:8080
  # Encrypted, for everybody whom access.json and edges.json of this folder let in: the same two.
  # 0.0.0.0 is all IPv4 addresses of this machine; "[::]:8883" would be IPv6, too.
  tls:
    listen: 0.0.0.0:8883
    https: 0.0.0.0:8443
`;
