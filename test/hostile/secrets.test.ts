import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { HubConnection } from "@canfleet/sdk";
import { ownFolder } from "../e2e/support/canfleet.ts";
import { Program } from "../e2e/support/program.ts";
import { until } from "../e2e/support/until.ts";

const CLI = fileURLToPath(new URL("../../../cli/bin/canfleet.js", import.meta.url));
/** In each secret that people choose; the token is made by canfleet. */
const CANARY = "CANARY";
const PASSWORDS = { alice: "CANARY-of-alice-1", edge: "CANARY-of-edge-2", wrong: "CANARY-that-is-wrong-3" };

function file(name: string, text: string, mode = 0o600): string {
  const path = join(ownFolder(), name);
  writeFileSync(path, text, { mode });
  // The mode of writeFile goes through the umask.
  chmodSync(path, mode);
  return path;
}

/** All programs that were started, for what they said. */
const programs: Program[] = [];

function canfleet(args: string[], env: NodeJS.ProcessEnv = {}): Program {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("CANFLEET_"));
  const program = Program.start(process.execPath, [CLI, ...args], {
    cwd: ownFolder(),
    env: { ...Object.fromEntries(kept), XDG_CONFIG_HOME: ownFolder(), ...env },
  });
  programs.push(program);
  return program;
}

async function run(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Program> {
  const program = canfleet(args, env);
  program.stdin.end();
  await program.exit();
  return program;
}

/** A hub that runs, and where. */
async function startHub(...args: string[]): Promise<{ hub: Program; mqttUrl: string; httpUrl: string }> {
  const hub = canfleet(["hub", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", ...args]);
  const [, mqttUrl, httpUrl] = await hub.until("the hub's addresses", () => {
    if (hub.ended !== undefined) throw new Error(`the hub ended with ${hub.ended}: ${hub.stderr}`);
    return /MQTT {2}(mqtt:\S+)\n {2}page {2}(\S+)\n/.exec(hub.stderr) ?? undefined;
  });
  return { hub, mqttUrl: mqttUrl!, httpUrl: httpUrl! };
}

describe("S12 secrets", { timeout: 600_000 }, () => {
  const data = join(ownFolder(), "secret-data");
  let token = "";

  before(async () => {
    mkdirSync(data, { mode: 0o700 });
    const add = async (name: string, role: string, password: string): Promise<void> => {
      const path = file(`${name}.password`, `${password}\n`);
      const args = ["user", "add", name, "--role", role, "--password-file", path, "--data", data];
      const added = await run(args);
      assert.equal(added.ended, 0, added.stderr);
    };
    await add("alice", "operator", PASSWORDS.alice);
    await add("pi-7", "edge", PASSWORDS.edge);
    const made = Program.start(process.execPath, [CLI, "token", "add", "grafana", "--data", data], {
      cwd: ownFolder(),
    });
    made.stdin.end();
    assert.equal(await made.exit(), 0, made.stderr);
    token = /cft_\S+/.exec(made.lines.join("\n"))![0];
  });
  after(() => Program.killAll());

  it("are nowhere but in the files and variables that they come from", async () => {
    assert.equal(statSync(join(data, "access.json")).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(join(data, "access.json"), "utf8"), new RegExp(CANARY));
    const { hub, mqttUrl, httpUrl } = await startHub("--data", data);
    const { host } = new URL(mqttUrl);
    const edgeFile = file(
      "secret-edge.yaml",
      `edge:\n  name: pi-7\n  hub: ${mqttUrl}\n  user: pi-7\n  passwordFile: ${join(ownFolder(), "pi-7.password")}\n` +
        `  buses: [{ channel: "sim:secret${process.pid}", name: can0 }]\n`,
    );
    const edge = canfleet(["edge", "--config", edgeFile]);
    const asAlice = { CANFLEET_HUB: `mqtt://alice:${PASSWORDS.alice}@${host}` };
    const dump = canfleet(["dump", "pi-7/can0"], asAlice);
    await until("the edge is online", async () => {
      const ls = await run(["ls", "--json"], asAlice);
      assert.equal(ls.ended, 0, ls.stderr);
      return ls.lines.some((line) => line.includes('"bus":"pi-7/can0"'));
    });
    const wrong = await run(["ls"], { CANFLEET_HUB: `mqtt://alice:${PASSWORDS.wrong}@${host}` });
    assert.equal(wrong.ended, 4, wrong.stderr);
    await hub.said(/login refused/);
    const nowhere = await run(["ls"], { CANFLEET_HUB: `mqtt://alice:${PASSWORDS.alice}@127.0.0.1:1` });
    assert.equal(nowhere.ended, 3, nowhere.stderr);

    const seen: string[] = [];
    const watcher = new HubConnection(mqttUrl, {
      username: "alice",
      password: PASSWORDS.alice,
      onMessage: (topic, payload) => seen.push(`${topic} ${Buffer.from(payload).toString("latin1")}`),
    });
    await watcher.ready();
    await watcher.subscribe(["#"], 0);
    await until("retained topics", () => seen.some((line) => line.startsWith("canfleet/pi-7/info ")));
    await watcher.close();
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    const pages = await Promise.all(
      ["/metrics", "/api/fleet", "/api/clients", "/api/session"].map(async (path) => {
        const response = await fetch(httpUrl + path, bearer);
        assert.equal(response.status, 200, path);
        return response.text();
      }),
    );
    const commands = [hub, edge, dump].map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));

    for (const program of [dump, edge, hub]) await program.stop();
    const outputs = programs.map(({ lines, stderr }) => lines.join("\n") + stderr);
    const everything = [...commands, ...pages, ...seen, ...outputs].join("\n");
    assert.match(everything, /alice/, "there is something to look through");
    for (const secret of [CANARY, token]) assert.equal(everything.split(secret).length - 1, 0, `${secret} is told`);
  });

  it("are not told by a configuration that is wrong", async () => {
    const wrong = ["client:", `  password: ${PASSWORDS.wrong}`, `  hub: mqtt://me:${PASSWORDS.wrong}@my hub`];
    const path = file("wrong.yaml", `${wrong.join("\n")}\n`);
    for (const program of [
      await run(["ls", "--config", path]),
      await run(["ls"], { CANFLEET_HUB: `http://me:${PASSWORDS.wrong}@hub` }),
      await run(["ls", "--hub", `http://me:${PASSWORDS.wrong}@hub`]),
      await run(["hub", "--broker", `http://me:${PASSWORDS.wrong}@hub`]),
    ]) {
      assert.ok(program.ended === 78 || program.ended === 2, `${program.ended}: ${program.stderr}`);
      assert.doesNotMatch(program.stderr + program.lines.join("\n"), new RegExp(CANARY));
    }
  });

  it("in files that others on the machine can read are refused, with exit code 78", async () => {
    const open = file("open.password", `${PASSWORDS.alice}\n`, 0o644);
    const asUser = { CANFLEET_HUB: "mqtt://127.0.0.1:1", CANFLEET_USER: "alice", CANFLEET_PASSWORD_FILE: open };
    const byToken = { CANFLEET_HUB: "mqtt://127.0.0.1:1", CANFLEET_TOKEN_FILE: file("open.token", "cft_x\n", 0o640) };
    const access = join(ownFolder(), "open-data");
    mkdirSync(access, { mode: 0o700 });
    writeFileSync(join(access, "access.json"), '{"v":1,"users":{},"tokens":{}}', { mode: 0o644 });
    chmodSync(join(access, "access.json"), 0o644);
    const refused = await Promise.all([
      run(["ls"], asUser),
      run(["ls"], byToken),
      run(["edge", "sim:x", "--name", "x"], asUser),
      run(["hub", "--listen", "127.0.0.1:0", "--http", "off", "--data", access]),
    ]);
    for (const { ended, stderr } of refused) {
      assert.equal(ended, 78, stderr);
      assert.match(stderr, /others on this machine can read it; chmod 600/);
    }
  });
});

describe("S11 a hub beyond its machine", { timeout: 600_000 }, () => {
  const nobody = join(ownFolder(), "nobody");
  after(() => Program.killAll());

  it("does not start without somebody in access.json: exit code 78 and a sentence", async () => {
    mkdirSync(nobody, { mode: 0o700 });
    writeFileSync(join(nobody, "access.json"), '{"v":1,"users":{},"tokens":{}}', { mode: 0o600 });
    const refused = await Promise.all([
      run(["hub", "--listen", "0.0.0.0:0", "--http", "off"]),
      run(["hub", "--listen", "[::]:0", "--http", "off"]),
      run(["hub", "--listen", "127.0.0.1:0", "--http", "0.0.0.0:0"]),
      run(["hub", "--listen", "0.0.0.0:0", "--http", "off", "--data", nobody]),
      run(["hub"], { CANFLEET_HUB_LISTEN: "0.0.0.0:0", CANFLEET_HUB_HTTP: "off" }),
    ]);
    for (const { ended, stderr } of refused) {
      assert.equal(ended, 78, stderr);
      assert.match(stderr, /reachable from other machines.*canfleet user add.*--insecure-lan/s);
      assert.doesNotMatch(stderr, /^\s+at /m, "no stack");
    }
  });

  it("starts when told --insecure-lan, and says loudly what that means", async () => {
    const hub = canfleet(["hub", "--listen", "0.0.0.0:0", "--http", "off", "--insecure-lan"]);
    await hub.said(/warning: .*open to everybody on that network/);
    await hub.said(/MQTT {2}mqtt:/);
    assert.equal(await hub.stop(), 0);
  });
});
