import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MqttBus } from "@canfleet/sdk";
import { Place, type Running } from "./running-canfleet.suite.ts";
import { jsonLogLine } from "./service-log.ts";

const LIMIT = { timeout: 120_000 };
const PASSWORD = "a pass phrase that nobody else has";
const ANYWHERE = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];

let place: Place;
before(async () => {
  place = await Place.make();
});
after(() => place.remove());

interface Line {
  time: string;
  level: string;
  message: string;
  service: string;
  [field: string]: unknown;
}

/** Every line is an object with the fields that all have. */
function parseLog(text: string): Line[] {
  const lines = text.trimEnd().split("\n");
  return lines.map((line) => {
    const parsed = JSON.parse(line) as Line;
    assert.equal(new Date(parsed.time).toISOString(), parsed.time);
    assert.ok(["error", "warn", "info"].includes(parsed.level), line);
    assert.ok(typeof parsed.message === "string" && parsed.message !== "", line);
    return parsed;
  });
}

async function mqttUrlOf(hub: Running): Promise<string> {
  const [, url = ""] = await hub.says(/"message":"MQTT on (mqtt:[^"]+)"/);
  return url;
}

describe("logs in JSON", LIMIT, () => {
  it("a line has time, level and message whatever its fields say, and no password of an address", () => {
    const line = jsonLogLine("warn", 'to "mqtt://u:secret@h"\n', { level: "x", url: "mqtts://u:secret@h", n: 1 }, 0);
    assert.match(line, /^\{"time":"1970-01-01T00:00:00\.000Z","level":"warn","message":"[^\n]+\}\n$/);
    assert.deepEqual(JSON.parse(line), {
      time: "1970-01-01T00:00:00.000Z",
      level: "warn",
      message: 'to "mqtt://…@h"\n',
      url: "mqtts://…@h",
      n: 1,
    });
  });

  it("hub and edge write nothing else on stderr, and no secret", async () => {
    const data = join(place.folder, "data");
    await mkdir(data, { mode: 0o700 });
    const added = await place.run(["user", "add", "car", "--role", "edge", "--data", data], {}, `${PASSWORD}\n`);
    assert.equal(added.code, 0, added.stderr);
    await writeFile(join(place.folder, "password"), `${PASSWORD}\n`, { mode: 0o600 });
    const hub = place.start(["hub", ...ANYWHERE, "--data", data, "--log-format", "json"]);
    const url = await mqttUrlOf(hub);
    await assert.rejects(MqttBus.connect(url, { edge: "+", bus: "+", username: "car", password: `not ${PASSWORD}` }));
    const login = { CANFLEET_USER: "car", CANFLEET_PASSWORD_FILE: "password", CANFLEET_LOG_FORMAT: "json" };
    const edge = place.start(["edge", "sim:car", "--name", "car", "--hub", url], login);
    await edge.says(/hub mqtt:\S+ connected/);
    hub.kill("SIGTERM");
    await edge.says(/reconnecting/);
    edge.kill("SIGTERM");
    const [hubEnd, edgeEnd] = [await hub.ended(), await edge.ended()];
    assert.deepEqual([hubEnd.code, edgeEnd.code], [0, 0]);
    for (const { service } of parseLog(hubEnd.stderr)) assert.equal(service, "hub");
    const edgeLines = parseLog(edgeEnd.stderr);
    for (const { service } of edgeLines) assert.equal(service, "edge");
    assert.equal(edgeLines.find(({ message }) => message.includes("reconnecting"))?.level, "warn");
    assert.equal(edgeLines.at(-1)?.edge, "car");
    for (const said of [hubEnd, edgeEnd]) assert.doesNotMatch(said.stdout + said.stderr, new RegExp(PASSWORD));
  });

  it("a start that fails says so with its code", async () => {
    const { code, stderr } = await place.run(["hub", "--listen", "0.0.0.0:0", "--log-format", "json"]);
    const [line, ...more] = parseLog(stderr);
    assert.deepEqual([code, more.length, line?.level, line?.code], [78, 0, "error", "HUB_UNSAFE_ADDRESS"]);
  });

  it("what is wrong in the configuration is said in the form that the configuration's environment asks for", async () => {
    await writeFile(join(place.folder, "wrong.yaml"), "hub: { log: { format: xml } }\n");
    const ended = await place.run(["hub", "--config", "wrong.yaml"], { CANFLEET_LOG_FORMAT: "json" });
    const [line] = parseLog(ended.stderr);
    assert.deepEqual([ended.code, line?.code], [78, "CONFIG_INVALID"]);
    assert.match(line!.message, /text, json|text or json/);
  });
});

describe("the hub's data folder", LIMIT, () => {
  it("is backed up and restored as docs/operations.md says", async (t) => {
    const [data, restored] = [join(place.folder, "kept"), join(place.folder, "restored")];
    await mkdir(data, { mode: 0o700 });
    const added = await place.run(["user", "add", "anna", "--role", "reader", "--data", data], {}, `${PASSWORD}\n`);
    assert.equal(added.code, 0, added.stderr);
    const before = place.start(["hub", ...ANYWHERE, "--data", data, "--log-format", "json"]);
    await mqttUrlOf(before);
    const file = join(place.folder, "backup.tar.gz");
    run("tar", "--create", "--gzip", "--file", file, "--directory", data, ".");
    before.kill("SIGTERM");
    assert.equal((await before.ended()).code, 0);
    await mkdir(restored, { mode: 0o700 });
    run("tar", "--extract", "--gzip", "--preserve-permissions", "--file", file, "--directory", restored);
    const hub = place.start(["hub", ...ANYWHERE, "--data", restored, "--log-format", "json"]);
    t.after(() => hub.kill("SIGKILL"));
    const url = await mqttUrlOf(hub);
    const open = (password: string): Promise<MqttBus> =>
      MqttBus.connect(url, { edge: "+", bus: "+", username: "anna", password });
    await assert.rejects(open("another"));
    await (await open(PASSWORD)).shutdown();
  });
});

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}
