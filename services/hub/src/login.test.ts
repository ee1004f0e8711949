import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { accessFilePath, readAccessFile, writeAccessFile } from "./access/access-file.ts";
import { PageSessions } from "./access/page-sessions.ts";
import type { Identity } from "./access/identity.ts";
import { LOCAL, makeDataFolder, PASSWORD, startGuardedHub } from "./access.suite.ts";
import { connectClient, until } from "./harness.suite.ts";
import { Hub } from "./hub.ts";

const CHROMIUM = process.env.CANFLEET_CHROMIUM ?? "/usr/bin/chromium";
const noChromium =
  !existsSync(CHROMIUM) && process.env.CANFLEET_REQUIRE_REAL !== "1" ? `${CHROMIUM} is not installed` : false;

type Guarded = Hub & { httpUrl: string };

async function post(
  hub: Guarded,
  path: string,
  body: string,
  headers: { [name: string]: string } = {},
): Promise<Response> {
  const response = await fetch(`${hub.httpUrl}${path}`, {
    method: "POST",
    body,
    redirect: "manual",
    headers: { origin: hub.httpUrl, "content-type": "application/x-www-form-urlencoded", ...headers },
  });
  await response.clone().arrayBuffer();
  return response;
}

async function logIn(hub: Guarded, user: string, headers: { [name: string]: string } = {}): Promise<string> {
  const response = await post(hub, "/login", `user=${user}&password=${PASSWORD}`, headers);
  assert.equal(response.status, 303);
  const cookie = response.headers.get("set-cookie") ?? "";
  assert.match(cookie, /^canfleet_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  return cookie.split(";")[0]!;
}

async function statusWith(hub: Guarded, cookie: string, path = "/api/fleet"): Promise<number> {
  const response = await fetch(`${hub.httpUrl}${path}`, { headers: { cookie }, redirect: "manual" });
  await response.arrayBuffer();
  return response.status;
}

describe("logging in on the page", { timeout: 120_000 }, () => {
  it("opens a session, which a logout ends with all that it opened", async (t) => {
    const hub = await startGuardedHub(t);
    assert.equal(await statusWith(hub, "", "/"), 303);
    const cookie = await logIn(hub, "bob");
    for (const path of ["/", "/api/fleet", "/metrics"]) assert.equal(await statusWith(hub, cookie, path), 200);
    const session = await fetch(`${hub.httpUrl}/api/session`, { headers: { cookie } });
    assert.deepEqual(await session.json(), { name: "bob", role: "reader" });
    const socket = await connectClient(t, `${hub.httpUrl.replace("http", "ws")}/mqtt`, {
      wsOptions: { headers: { cookie } },
    });
    const again = await logIn(hub, "bob", { cookie });
    assert.notEqual(again, cookie);
    assert.equal(await statusWith(hub, cookie), 401, "a new login ends the old session");
    await until("the old session's socket is closed", () => !socket.connected);
    const out = await post(hub, "/logout", "", { cookie: again });
    assert.deepEqual([out.status, out.headers.get("location")], [303, "login"]);
    assert.match(out.headers.get("set-cookie") ?? "", /Max-Age=0/);
    assert.equal(await statusWith(hub, again), 401);
  });

  it("takes no form from another page, and none that is too large", async (t) => {
    const hub = await startGuardedHub(t);
    const form = `user=bob&password=${PASSWORD}`;
    for (const origin of ["http://evil.example", "null"]) {
      assert.equal((await post(hub, "/login", form, { origin })).status, 403);
      assert.equal((await post(hub, "/logout", "", { origin })).status, 403);
    }
    const bare = await fetch(`${hub.httpUrl}/login`, { method: "POST", body: form, redirect: "manual" });
    assert.equal(bare.status, 403);
    assert.equal((await post(hub, "/login", `user=${"x".repeat(20_000)}`)).status, 413);
    assert.equal((await fetch(`${hub.httpUrl}/login`, { method: "DELETE" })).status, 405);
  });

  it("lets no edge in, and slows down who guesses, over MQTT too", async (t) => {
    const hub = await startGuardedHub(t);
    assert.equal((await post(hub, "/login", `user=pi-7&password=${PASSWORD}`)).status, 403);
    const statuses = await Promise.all(
      Array.from({ length: 12 }, async (_, i) => (await post(hub, "/login", `user=bob&password=guess${i}`)).status),
    );
    assert.ok(statuses.every((status) => status === 401 || status === 429));
    assert.ok(statuses.includes(429));
    await assert.rejects(
      connectClient(t, hub.mqttUrl, { username: "bob", password: PASSWORD, connectTimeout: 5_000 }),
      /[Uu]navailable/,
    );
  });

  it("ends when the user is removed", async (t) => {
    const dataDir = await makeDataFolder(t);
    const hub = await startGuardedHub(t, { dataDir });
    const cookie = await logIn(hub, "bob");
    const list = (await readAccessFile(accessFilePath(dataDir)))!;
    const users = new Map([...list.users].filter(([name]) => name !== "bob"));
    await writeAccessFile(accessFilePath(dataDir), { ...list, users });
    await until("bob is out", async () => (await statusWith(hub, cookie)) === 401);
  });

  it("is not asked for where there is no access.json", async (t) => {
    const hub = await Hub.start({ listen: LOCAL, http: LOCAL });
    t.after(() => hub.close());
    const session = await fetch(`${hub.httpUrl!}/api/session`);
    assert.deepEqual(await session.json(), { name: null, role: null });
    assert.equal((await fetch(`${hub.httpUrl!}/login`)).status, 404);
  });

  it("works in a browser, without an error on its console", { skip: noChromium }, async (t) => {
    const hub = await startGuardedHub(t);
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
    t.after(() => browser.close());
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const errors: string[] = [];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(hub.httpUrl);
    await shoot(page, "login");
    await page.locator("[name=user]").fill("bob");
    await page.locator("[name=password]").fill(PASSWORD);
    await page.locator("button").click();
    await page.locator("#who", { hasText: "bob (reader)" }).waitFor();
    await page.locator("#try-sim").waitFor();
    await shoot(page, "logged-in");
    await page.locator("#session button").click();
    await page.locator("[name=password]").waitFor();
    assert.match(page.url(), /\/login$/);
    assert.deepEqual(errors, []);
  });
});

it("a session ends when it is not used, and when it is old", () => {
  let nowMs = 0;
  const sessions = new PageSessions(() => nowMs);
  const who = (name: string): Identity => ({ name, kind: "user", role: "reader", send: [] });
  const [idle, busy] = [who("idle"), who("busy")];
  const idleCookie = sessions.begin(idle, false);
  const busyCookie = sessions.begin(busy, true);
  assert.match(busyCookie, /; Secure$/);
  const minute = 60_000;
  while (nowMs < 12 * 60 * minute) {
    nowMs += 20 * minute;
    assert.equal(sessions.identityOf(busyCookie), nowMs <= 12 * 60 * minute ? busy : undefined);
  }
  assert.equal(sessions.identityOf(idleCookie), undefined);
  assert.ok(sessions.expire());
  assert.ok(sessions.hasEnded(idle) && !sessions.hasEnded(busy));
  nowMs += 1;
  assert.equal(sessions.identityOf(busyCookie), undefined);
});

/** Pictures to look at, where a folder is named for them. */
async function shoot(page: { screenshot(options: { path: string }): Promise<unknown> }, name: string): Promise<void> {
  const folder = process.env.CANFLEET_SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png` });
}
