import assert from "node:assert/strict";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Place, type Ended, type Running } from "./running-canfleet.suite.ts";

/** What must never be seen anywhere. */
const CANARY = "CANARY-7f3a-password";

let place: Place;
const seen: string[] = [];
before(async () => {
  place = await Place.make();
});
after(() => place.remove());

async function run(line: string, env: NodeJS.ProcessEnv = {}, input = ""): Promise<Ended> {
  const ended = await place.run(line.split(" "), env, input);
  seen.push(ended.stdout, ended.stderr);
  return ended;
}

async function runWell(line: string, env: NodeJS.ProcessEnv = {}, input = ""): Promise<string> {
  const { code, stdout, stderr } = await run(line, env, input);
  assert.equal(code, 0, `${line}: ${stderr}`);
  return stdout;
}

async function secretFile(name: string, text: string): Promise<string> {
  const path = join(place.folder, name);
  await writeFile(path, `${text}\n`, { mode: 0o600 });
  return path;
}

async function commandLines(): Promise<string> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.includes("canfleet")).join("\n");
}

async function startHub(...args: string[]): Promise<{ hub: Running; url: string; http: string }> {
  const hub = place.start(["hub", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", ...args]);
  const [, url = ""] = await hub.says(/MQTT {2}(\S+)/);
  const [, http = ""] = await hub.says(/page {2}(\S+)/);
  return { hub, url, http };
}

describe("who may what at a hub", { timeout: 180_000 }, () => {
  it("is added, listed and removed by command", async () => {
    await runWell("user add alice --role operator --send pi-7/can0:123 --data people", {}, `${CANARY}\n`);
    await runWell(`user add bob --data people --password-file ${await secretFile("bob", CANARY)}`);
    const token = (await place.run(["token", "add", "grafana", "--data", "people"])).stdout;
    assert.match(token, /^cft_[\w-]{43}\n$/);
    assert.equal(await runWell("user ls --data people"), "alice  operator  pi-7/can0:123\nbob    reader\n");
    assert.equal(await runWell("token ls --json --data people"), '{"name":"grafana","role":"reader","send":[]}\n');
    await runWell("user passwd bob --data people", {}, `${CANARY}-2\n`);
    await runWell("user rm bob --data people");
    assert.equal(
      await runWell("user ls --json", { CANFLEET_HUB_DATA: "people" }),
      '{"name":"alice","role":"operator","send":["pi-7/can0:123"]}\n',
    );
    const file = join(place.folder, "people", "access.json");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const kept = await readFile(file, "utf8");
    assert.ok(!kept.includes(CANARY) && !kept.includes(token.trim()));
  });

  it("is added by several commands at once, and nobody is lost", async () => {
    const names = Array.from({ length: 6 }, (_, i) => `user-${i}`);
    const adding = names.map((name) => runWell(`user add ${name} --data crowd`, {}, `${CANARY}\n`));
    await Promise.all([...adding, place.run(["token", "add", "t", "--data", "crowd"])]);
    const added = (await runWell("user ls --data crowd")).split("\n").map((line) => line.split(" ")[0]);
    assert.deepEqual(added, [...names, ""]);
    assert.match(await runWell("token ls --data crowd"), /^t /);
    assert.deepEqual(await readdir(join(place.folder, "crowd")), ["access.json"]);
  });

  for (const [line, says, input] of [
    ["user add eve --data x", /at least 8 characters/, "short\n"],
    ["user add Eve! --data x", /name Eve!: expected/, `${CANARY}\n`],
    ["user add Pi.7 --role edge --data x", /name Pi\.7: expected/, `${CANARY}\n`],
    ["user add eve --send all --data x", /--send is for operators and admins/, `${CANARY}\n`],
    ["user add eve --role operator --send all --data x", /expected EDGE\/BUS:IDS/, `${CANARY}\n`],
    ["user add eve", /--data DIR names the folder/, `${CANARY}\n`],
    ["user rm nobody --data x", /there is no nobody/, ""],
    ["token add --data x", /add needs a NAME/, ""],
    ["token eat t --data x", /"eat": expected add, ls or rm/, ""],
  ] as const) {
    it(`canfleet ${line}: exit 2, in words`, async () => {
      const { code, stderr } = await run(line, {}, input);
      assert.equal(code, 2, stderr);
      assert.match(stderr, says);
    });
  }

  it("counts for hub, edge and clients, and no password is to be seen anywhere", async () => {
    await runWell("user add pi-7 --role edge --data site", {}, `${CANARY}\n`);
    await runWell("user add alice --role operator --send pi-7/can0:123 --data site", {}, `${CANARY}\n`);
    const { stdout: token } = await place.run(["token", "add", "t", "--data", "site"]);
    const { hub, url, http } = await startHub("--data", "site");
    const tokenFile = await secretFile("t.token", token.trim());
    const passwordFile = await secretFile("password", CANARY);
    const edge = place.start(["edge", "sim:car=can0", "--name", "pi-7", "--send", "all", "--hub", url], {
      CANFLEET_USER: "pi-7",
      CANFLEET_PASSWORD_FILE: passwordFile,
    });
    await edge.says(/connected/);
    const stranger = await run(`ls --hub ${url}`);
    assert.equal(stranger.code, 4, stranger.stderr);
    const asToken = { CANFLEET_TOKEN_FILE: tokenFile };
    assert.match(await runWell(`dump pi-7/can0 -n 3 --hub ${url}`, asToken), /can0/);
    assert.match(await runWell(`ls --hub ${url}`, asToken), /pi-7\/can0/);
    const asAlice = { CANFLEET_USER: "alice", CANFLEET_PASSWORD_FILE: passwordFile };
    await runWell(`send pi-7/can0 123#01 --wait --hub ${url}`, asAlice);
    assert.equal((await run(`send pi-7/can0 124#01 --wait --hub ${url}`, asAlice)).code, 4);
    const answers = ["/metrics", "/api/fleet", "/api/clients"].map(async (path) => {
      const answer = await fetch(`${http}${path}`, { headers: { authorization: `Bearer ${token.trim()}` } });
      assert.equal(answer.status, 200, path);
      return answer.text();
    });
    seen.push(...(await Promise.all(answers)), await commandLines());
    edge.kill("SIGTERM");
    hub.kill("SIGTERM");
    for (const { stdout, stderr } of [await edge.ended(), await hub.ended()]) seen.push(stdout, stderr);
    assertUnseen();
  });

  it("leaves the password of an address out of what it says", async () => {
    const address = `mqtt://u:${CANARY}@127.0.0.1:1`;
    await run(`ls --hub ${address}`);
    await run(`doctor --hub ${address}`);
    await run(`ls --hub http://u:${CANARY}@127.0.0.1:1`);
    await run("ls", { CANFLEET_HUB: `http://u:${CANARY}@127.0.0.1:1` });
    await run("hub", { CANFLEET_HUB_BROKER: `ws://u:${CANARY}@127.0.0.1:1`, CANFLEET_HUB_HTTP: "off" });
    assertUnseen();
  });

  it("refuses a file of secrets that others can read", async () => {
    const file = await secretFile("open", CANARY);
    await chmod(file, 0o644);
    const { code, stderr } = await run("ls", { CANFLEET_TOKEN_FILE: file });
    assert.equal(code, 78);
    assert.match(stderr, /others on this machine can read it/);
  });
});

function assertUnseen(): void {
  assert.ok(seen.length > 0);
  assert.deepEqual(
    seen.filter((text) => text.includes(CANARY)),
    [],
  );
}
