import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { isCanfleetError } from "@canfleet/sdk";
import { loadSettings, type LoadedSettings } from "./load.ts";

let folder: string;
let cwd: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "canfleet-config-"));
});
after(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  cwd = await mkdtemp(join(folder, "case-"));
  await mkdir(join(cwd, "user", "canfleet"), { recursive: true });
});

function load(env: Record<string, string> = {}, file?: string): Promise<LoadedSettings> {
  const machineFile = join(cwd, "machine.yaml");
  return loadSettings({ env: { XDG_CONFIG_HOME: join(cwd, "user"), ...env }, cwd, machineFile, file });
}

async function mistakes(env?: Record<string, string>, file?: string): Promise<string[]> {
  try {
    await load(env, file);
  } catch (error) {
    assert.ok(isCanfleetError(error, "CONFIG_INVALID"));
    return error.message
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
  }
  return [];
}

describe("settings", () => {
  it("are empty without any source", async () => {
    assert.deepEqual(await load(), { hub: {}, edge: {}, client: {} });
  });

  it("come from the highest source that has them, one by one", async () => {
    await writeFile(join(cwd, "machine.yaml"), "edge: {name: machine, hub: mqtt://machine, base: machine}\n");
    await writeFile(join(cwd, "user", "canfleet", "config.yaml"), "edge: {name: user, hub: mqtt://user}\n");
    await writeFile(join(cwd, "canfleet.yaml"), "edge: {name: here}\nclient: {hub: mqtt://here}\n");
    const settings = await load({ CANFLEET_NAME: "env" });
    assert.deepEqual(settings.edge, { name: "env", hub: "mqtt://user", base: "machine" });
    assert.equal(settings.client.hub, "mqtt://here");
    assert.equal((await load()).edge.name, "here");
  });

  it("take one hub, several behind commas, or a list", async () => {
    await writeFile(join(cwd, "machine.yaml"), "edge: {hub: [mqtt://a, mqtt://b], hubReturnMinutes: 30}\n");
    await writeFile(join(cwd, "user", "canfleet", "config.yaml"), "client: {hub: 'mqtt://a, mqtt://b'}\n");
    const { edge, client } = await load();
    assert.deepEqual(edge, { hub: ["mqtt://a", "mqtt://b"], hubReturnMinutes: 30 });
    assert.deepEqual(client, { hub: ["mqtt://a", "mqtt://b"] });
    const both = ["mqtt://c", "mqtt://d"];
    assert.deepEqual((await load({ CANFLEET_HUB: both.join(",") })).edge.hub, both);
    assert.deepEqual((await load({ CANFLEET_HUB: "mqtt://c" })).edge.hub, "mqtt://c");
    await writeFile(join(cwd, "user", "canfleet", "config.yaml"), "client: {hub: [mqtt://a, http://b]}\n");
    assert.match((await mistakes())[0] ?? "", /client\.hub\[1\] = "http:\/\/b": expected mqtt:/);
  });

  it("read everything that an edge can be told", async () => {
    await writeFile(
      join(cwd, "canfleet.yaml"),
      `
edge:
  name: pi-7
  buses:
    - channel: can0
      filters: [123:7FF, 1F334455]
      send: 100, 200:7F0
      latest: true
      maxRateHz: 20
      links:
        - {host: my-can-server, port: 5000, record: 29}
        - {listen: 0.0.0.0:5001}
    - {channel: "sim:car", name: car, send: none, filters: 123}
  bridges:
    - {a: pi-7/can0, b: vcan0, oneWay: true}
`,
    );
    const { edge } = await load();
    const [can0, car] = edge.buses ?? [];
    assert.equal(can0?.filters, "123:7FF,1F334455");
    assert.equal(can0.send, "100, 200:7F0");
    assert.deepEqual(can0.links, [
      { host: "my-can-server", port: 5000, record: 29 },
      { listen: 5001, hostname: "0.0.0.0", record: "auto" },
    ]);
    assert.deepEqual([can0.latest, can0.maxRateHz, car?.send, car?.name], [true, 20, "none", "car"]);
    // 123 is a number to YAML, and an id in hex to us.
    assert.equal(car?.filters, "123");
    assert.deepEqual(edge.bridges, [{ a: "pi-7/can0", b: "vcan0", oneWay: true }]);
  });

  it("read the hub's limits, and name those outside their range", async () => {
    const limits = ["maxConnections: 500", "sharedAddresses: [10.0.0.0/8]", "retainTopics: [mine/#]"];
    await writeFile(
      join(cwd, "canfleet.yaml"),
      ["hub:", "  limits:", ...limits.map((line) => `    ${line}`)].join("\n"),
    );
    const { hub } = await load();
    assert.deepEqual(hub.limits, {
      maxConnections: 500,
      sharedAddresses: ["10.0.0.0/8"],
      retainTopics: ["mine/#"],
    });
    const wrong = ["maxConnections: 1", "sharedAddresses: [here]", "maxPackets: 7"];
    await writeFile(
      join(cwd, "canfleet.yaml"),
      ["hub:", "  limits:", ...wrong.map((line) => `    ${line}`)].join("\n"),
    );
    const said = await mistakes();
    assert.match(said[0]!, /hub\.limits\.maxConnections.*a whole number from 10 to 100000 \(connections\)/);
    assert.match(said[1]!, /hub\.limits\.sharedAddresses\[0\].*a network such as 10\.0\.0\.0\/8/);
    assert.match(said[2]!, /hub\.limits\.maxPackets/);
  });

  it("read the file that was named instead of the usual ones", async () => {
    await writeFile(join(cwd, "canfleet.yaml"), "edge: {name: here}\n");
    await writeFile(join(cwd, "other.yaml"), "edge: {hub: mqtt://other}\n");
    assert.deepEqual((await load({}, "other.yaml")).edge, { hub: "mqtt://other" });
  });
});

describe("wrong settings", () => {
  it("are all reported, with file, line, value and what was wanted", async () => {
    await writeFile(
      join(cwd, "canfleet.yaml"),
      "edge:\n  name: Pi 7\n  buses:\n    - chanel: can0\n    - channel: can1\n      maxRateHz: fast\n",
    );
    await writeFile(join(cwd, "machine.yaml"), "hub:\n  listen: nowhere\n  insecureLan: perhaps\nclinet: {}\n");
    assert.deepEqual(await mistakes({ CANFLEET_HUB: "http://hub" }), [
      'CANFLEET_HUB: client.hub = "http://hub": expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://',
      'CANFLEET_HUB: edge.hub = "http://hub": expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://',
      'canfleet.yaml:2: edge.name = "Pi 7": expected 1 to 32 of a–z, 0–9, _ and -, beginning with a letter or digit',
      "canfleet.yaml:4: edge.buses[0].chanel: unknown setting; did you mean channel?",
      'canfleet.yaml:6: edge.buses[1].maxRateHz = "fast": expected a number from 0.1 to 1000 (Hz)',
      'machine.yaml:2: hub.listen = "nowhere": expected HOST:PORT or PORT, for example 127.0.0.1:1883',
      'machine.yaml:3: hub.insecureLan = "perhaps": expected true or false',
      "machine.yaml:4: clinet: unknown setting; did you mean client?",
    ]);
  });

  const cases: [yaml: string, says: RegExp][] = [
    ["edge: [1, 2]\n", /edge = a list: expected settings: name, hub/],
    ["edge: {buses: can0}\n", /edge\.buses = "can0": expected a list/],
    ["edge: {buses: [{name: can0}]}\n", /edge\.buses\[0\]: expected channel in it$/],
    ["edge: {buses: [{channel: can0, filters: 1000}]}\n", /filters = 1000: .*write 8 digits for 29 bits/],
    [
      "edge: {buses: [{channel: can0, links: [{host: a}]}]}\n",
      /links\[0\]: expected either host: and port:, or listen:$/,
    ],
    ["edge: {name: a, name: b}\n", /canfleet\.yaml:1: expected YAML: Map keys must be unique/],
    ["edge: &loop {hub: *loop}\n", /expected/],
    ["edge:\n\tname: a\n", /canfleet\.yaml:\d: expected YAML: /],
  ];
  for (const [yaml, says] of cases) {
    it(`such as ${JSON.stringify(yaml)}`, async () => {
      await writeFile(join(cwd, "canfleet.yaml"), yaml);
      const [first = ""] = await mistakes();
      assert.match(first, says);
    });
  }

  it("such as a named file that does not exist", async () => {
    const [first = ""] = await mistakes({}, "none.yaml");
    assert.match(first, /none\.yaml: expected a readable file \(ENOENT/);
  });

  it("do not include an empty file or an empty section", async () => {
    await writeFile(join(cwd, "canfleet.yaml"), "# nothing yet\n");
    await writeFile(join(cwd, "machine.yaml"), "edge:\nhub:\n");
    assert.deepEqual(await mistakes(), []);
  });
});
