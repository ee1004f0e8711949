import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connectAsync } from "mqtt";
import { AccessControl, quote, type AccessControlOptions } from "./access-control.ts";
import { makeToken, readAccessFile, writeAccessFile, type AccessList } from "./access-file.ts";
import type { Credentials, Identity, LoginRefusal } from "./identity.ts";
import { LoginThrottle } from "./login-throttle.ts";
import { hashPassword, verifyPassword } from "./password-hash.ts";
import { Broker } from "../broker.ts";
import { ConnectionGate } from "../connection-gate.ts";
import { connectClient, until } from "../harness.suite.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { listenTcp } from "../listeners.ts";

/** The least cost that is taken, so that tests are quick. */
const CHEAP = { N: 1024, r: 1, p: 1 };
const TOKEN = makeToken();

async function someList(): Promise<AccessList> {
  const password = await hashPassword("right", CHEAP);
  return {
    users: new Map([
      ["alice", { role: "operator", send: [], password }],
      ["bob", { role: "reader", send: [], password }],
      ["pi-7", { role: "edge", send: [], password }],
    ]),
    tokens: new Map([["grafana", { role: "reader", send: [], sha256: TOKEN.sha256 }]]),
  };
}

async function opened(t: TestContext, more: Partial<AccessControlOptions> = {}): Promise<[AccessControl, string]> {
  const folder = await mkdtemp(join(tmpdir(), "cf-access-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "access.json");
  await writeAccessFile(path, await someList());
  const options = { base: "canfleet", path, log: () => undefined, allowPlainPasswords: false, ...more };
  const control = await AccessControl.open(options);
  t.after(() => control.close());
  return [control, path];
}

function shown(username: string | undefined, password: string, more: Partial<Credentials> = {}): Credentials {
  return { clientId: "c", username, password: Buffer.from(password), address: "192.0.2.1", isPlain: false, ...more };
}

function assertIs(identity: Identity | LoginRefusal, wanted: Partial<Identity>): void {
  assert.ok(typeof identity !== "string", `refused: ${JSON.stringify(identity)}`);
  assert.deepEqual({ ...identity, ...wanted }, identity);
}

describe("access control", { timeout: 120_000 }, () => {
  it("lets in by password, by token, and nobody else", async (t) => {
    const [control] = await opened(t);
    assertIs(await control.identify(shown("alice", "right")), { name: "alice", role: "operator" });
    assertIs(await control.identify(shown("pi-7", "right")), { name: "pi-7", kind: "edge" });
    for (const username of ["grafana", "", undefined]) {
      assertIs(await control.identify(shown(username, TOKEN.token)), { name: "grafana" });
    }
    assert.equal(await control.identify(shown("alice", TOKEN.token)), "wrong");
    assert.equal(await control.identify(shown("alice", "wrong")), "wrong");
    assert.equal(await control.identify(shown("__proto__", "right")), "wrong");
    assert.equal(await control.identify(shown("$hub", "right")), "wrong");
    assert.equal(await control.identify(shown("alice", "right", { isPlain: true })), "wrong");
  });

  it("does the same work for an unknown user as for a wrong password", async (t) => {
    const costs: object[] = [];
    const [control] = await opened(t, {
      verify: (password, kept) => {
        costs.push({ N: kept.N, r: kept.r, p: kept.p });
        return verifyPassword(password, kept);
      },
    });
    await control.identify(shown("alice", "wrong"));
    await control.identify(shown("nobody", "wrong"));
    assert.deepEqual(costs, [CHEAP, CHEAP]);
    // In turns, each from an address of its own, so that nobody is turned away; the figures decide nothing.
    const tookMs: { [username: string]: number[] } = { alice: [], nobody: [] };
    for (let i = 0; i < 200; i++) {
      for (const username of ["alice", "nobody"]) {
        const startMs = performance.now();
        const address = `192.0.2.${i}`;
        assert.equal(await control.identify(shown(username, "wrong", { address })), "wrong");
        tookMs[username]!.push(performance.now() - startMs);
      }
    }
    assert.equal(costs.length, 2 + 400);
    const [known, unknown] = ["alice", "nobody"].map((name) => tookMs[name]!.sort((a, b) => a - b)[100]!.toFixed(3));
    console.log(`S09: median of 200: wrong password ${known} ms, unknown user ${unknown} ms`);
  });

  it("turns an address away that guesses, and no other, and no token", async (t) => {
    const [control] = await opened(t);
    const tries = await Promise.all(Array.from({ length: 20 }, () => control.identify(shown("alice", "wrong"))));
    assert.ok(tries.filter((result) => result === "wrong").length <= 6);
    assert.equal(await control.identify(shown("alice", "right")), "later");
    assert.notEqual(typeof (await control.identify(shown(undefined, TOKEN.token))), "string");
    assert.notEqual(typeof (await control.identify(shown("alice", "right", { address: "192.0.2.2" }))), "string");
  });

  it("refuses a file that others can read, and writes one that they cannot", async (t) => {
    const [, path] = await opened(t);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await chmod(path, 0o640);
    await assert.rejects(readAccessFile(path), /others on this machine can read it/);
  });

  it("keeps a client id to its identity, and disconnects whose rights end", async (t) => {
    const [control, path] = await opened(t);
    const gate = new ConnectionGate(DEFAULT_LIMITS, () => undefined);
    const broker = await Broker.create({
      base: "canfleet",
      limits: DEFAULT_LIMITS,
      gate,
      authorization: control,
      log: () => undefined,
    });
    const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, broker, { gate, limits: DEFAULT_LIMITS });
    t.after(async () => {
      await broker.close();
      await listener.close();
    });
    const url = `mqtt://127.0.0.1:${listener.address.port}`;
    const login = (username: string, clientId: string): object => ({ username, password: "right", clientId });
    const alice = await connectClient(t, url, login("alice", "one"));
    await assert.rejects(
      connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...login("bob", "one") }, false),
      /[Ii]dentifier/,
    );
    const bob = await connectClient(t, url, login("bob", "two"));
    const edge = await connectClient(t, url, login("pi-7", "three"));
    await assert.rejects(edge.subscribeAsync("canfleet/other/can0/send"), /Unspecified error|128/);
    const list = await someList();
    const before = await readAccessFile(path);
    const users = new Map([...before!.users].filter(([name]) => name !== "alice"));
    await writeAccessFile(path, { ...list, users });
    await control.reloadIfChanged();
    await until("alice is disconnected", () => !alice.connected);
    assert.ok(bob.connected);
  });
});

it("a throttle's pause doubles and ends", () => {
  let nowMs = 0;
  const throttle = new LoginThrottle(() => nowMs);
  for (let i = 0; i < 6; i++) assert.ok(throttle.begin("a"));
  assert.ok(!throttle.begin("a"));
  assert.ok(throttle.begin("b"));
  nowMs = 1_000;
  assert.ok(throttle.begin("a"));
  nowMs = 2_500;
  assert.ok(!throttle.begin("a"), "the second pause is longer");
  nowMs = 62_500;
  assert.ok(throttle.begin("a"));
});

it("a stranger's name forges no line of the log", () => {
  for (const name of ["a\nb", "\u202egnp", "\u0000", "\u2028", "x".repeat(300)]) {
    assert.doesNotMatch(quote(name), /[\u0000-\u001f\u202e\u2028]/);
    assert.ok(quote(name).length < 80);
  }
});
