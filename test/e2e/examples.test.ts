import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { canfleet, runCanfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofLogLine } from "./support/frame-text.ts";
import { freePort } from "./support/port.ts";
import { Program } from "./support/program.ts";
import { pythonWithModules } from "./support/strangers.ts";
import { until } from "./support/until.ts";

function example(path: string): string {
  return fileURLToPath(new URL(`../../../examples/${path}`, import.meta.url));
}

function withoutPython(): string | false {
  const mayBeMissing = process.env.CANFLEET_REQUIRE_REAL !== "1";
  return mayBeMissing && pythonWithModules() === undefined && "no Python with paho-mqtt and cbor2 on this machine";
}

/** Each program of /examples does what its first lines say. */
describe("the examples", () => {
  let hub: Hub;
  let fleet: Fleet;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    canfleet("edge", "sim:car=can0", "--name", "car", "--hub", hub.url);
    await fleet.ready("car", "can0");
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  it("python/read_frames.py prints log lines with paho and cbor2 alone", { skip: withoutPython() }, async () => {
    const reader = Program.start(pythonWithModules() ?? "python3", [
      example("python/read_frames.py"),
      "127.0.0.1",
      `${hub.port}`,
    ]);
    await until("100 lines", () => reader.lines.length >= 100);
    for (const line of reader.lines) {
      assert.match(line, /^\(\d{10}\.\d{6}\) car-can0 /);
      assert.ok(ofLogLine(line), line);
    }
    assert.equal(reader.stderr, "");
  });

  it("node/mqtt_bus.mjs counts the frames of each bus", async () => {
    const program = await Program.run(process.execPath, [example("node/mqtt_bus.mjs"), hub.url]);
    assert.equal(program.ended, 0, program.stderr);
    assert.equal(program.lines.length, 3);
    assert.match(program.lines[2]!, /^\{ 'car\/can0': [1-9]\d+ \}$/);
  });

  it("node/tcp_bus.mjs sends a frame and prints what comes, its own frame marked", async () => {
    const port = await freePort();
    const program = Program.start(process.execPath, [example("node/tcp_bus.mjs"), `${port}`]);
    canfleet("edge", "sim:quiet", "127.0.0.1", `${port}`);
    await program.line(/^\d+\.\d{6} 100 0001020304 own$/);
    const others = Array.from({ length: 9 }, (_, i) => `20${i}#0${i}`);
    const send = await runCanfleet("send", "sim:quiet", ...others);
    assert.equal(send.ended, 0, send.stderr);
    assert.equal(await program.exit(), 0);
    assert.deepEqual(
      program.lines.slice(1).map((line) => line.split(" ").slice(1, 3).join("#")),
      others,
    );
  });
});
