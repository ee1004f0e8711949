/** What the tests of access control share: a data folder with somebody in it, and a hub that uses it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { accessFilePath, makeToken, writeAccessFile } from "./access/access-file.ts";
import { hashPassword } from "./access/password-hash.ts";
import { parseSendGrant } from "./access/send-grants.ts";
import { Hub, type HubConfig } from "./hub.ts";

export const LOCAL = { host: "127.0.0.1", port: 0 };
/** Everybody's password. */
export const PASSWORD = "right-enough";
export const READER_TOKEN = makeToken();
export const EDGE_TOKEN = makeToken();

/** alice may send 123 at pi-7/can0, bob and grafana may read, pi-7 is an edge. */
export async function makeDataFolder(t: TestContext, isEmpty = false): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cf-access-"));
  t.after(() => rm(folder, { recursive: true }));
  // The least cost that is taken, so that tests are quick.
  const password = await hashPassword(PASSWORD, { N: 1024, r: 1, p: 1 });
  const users = new Map([
    ["alice", { role: "operator", send: [parseSendGrant("pi-7/can0:123")], password }],
    ["bob", { role: "reader", send: [], password }],
    ["pi-7", { role: "edge", send: [], password }],
  ] as const);
  const tokens = new Map([
    ["grafana", { role: "reader", send: [], sha256: READER_TOKEN.sha256 }],
    ["pi-8", { role: "edge", send: [], sha256: EDGE_TOKEN.sha256 }],
  ] as const);
  await writeAccessFile(accessFilePath(folder), isEmpty ? { users: new Map(), tokens: new Map() } : { users, tokens });
  return folder;
}

export async function startGuardedHub(t: TestContext, config: HubConfig = {}): Promise<Hub & { httpUrl: string }> {
  const hub = await Hub.start({ listen: LOCAL, http: LOCAL, dataDir: await makeDataFolder(t), ...config });
  t.after(() => hub.close());
  return hub as Hub & { httpUrl: string };
}

export function login(username: string): { username: string; password: string } {
  return { username, password: PASSWORD };
}
