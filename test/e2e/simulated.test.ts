import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MqttBus } from "@canfleet/sdk";
import { canfleet, runCanfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofLogLine } from "./support/frame-text.ts";
import { assertSame, Ledger } from "./support/ledger.ts";
import { Program } from "./support/program.ts";

const FRAMES = 500;

/** Needs no CAN in the kernel: this runs on every machine. */
describe("a fleet of simulated buses", () => {
  let hub: Hub;
  let fleet: Fleet;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    canfleet("edge", "sim:car=can0", "--name", "car", "--hub", hub.url);
    canfleet("edge", "sim:boat=can0", "--name", "boat", "--hub", hub.url, "--send", "7F0");
    await fleet.ready("car", "can0");
    await fleet.ready("boat", "can0");
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  it("shows the same frames in dump as in the SDK, of both edges", async () => {
    for (const channel of ["car/can0", "boat/can0"]) {
      const [edge, bus] = channel.split("/") as [string, string];
      const ledger = new Ledger(`MqttBus ${channel}`);
      const mqtt = await MqttBus.connect(hub.url, { edge, bus });
      mqtt.on("batch", (batch) => ledger.addBatch(batch));
      mqtt.on("loss", ({ lost }) => ledger.losses.push(JSON.stringify(lost)));
      const dump = await runCanfleet("dump", channel, "-L", "-n", `${FRAMES}`, "--hub", hub.url);
      assert.equal(dump.ended, 0, dump.stderr);
      assert.equal(dump.lines.length, FRAMES);
      const dumped = dump.lines.map((line) => ofLogLine(line)!);
      const start = ledger.timesUs.indexOf(dumped[0]!.timestampUs);
      assert.ok(start >= 0, "dump's first frame was seen by the SDK, too");
      const shown = new Ledger(`dump ${channel}`);
      for (const { frame, timestampUs } of dumped) shown.add(frame, timestampUs);
      await mqtt.shutdown();
      assertSame(ledger.frames.slice(start, start + FRAMES), shown);
    }
  });

  it("lists both edges with what they do", async () => {
    const ls = await runCanfleet("ls", "--json", "--hub", hub.url);
    assert.equal(ls.ended, 0, ls.stderr);
    const rows = ls.lines.map((line) => JSON.parse(line) as { bus: string });
    assert.deepEqual(rows.map(({ bus }) => bus).sort(), ["boat/can0", "car/can0"]);
  });

  it("sends from the command line what the edge allows, and says why it does not send the rest", async () => {
    const allowed = await runCanfleet("send", "boat/can0", "7F0#0102", "--wait", "--hub", hub.url);
    assert.equal(allowed.ended, 0, allowed.stderr);
    const denied = await runCanfleet("send", "boat/can0", "123#0102", "--wait", "--hub", hub.url);
    assert.equal(denied.ended, 4, denied.stderr);
    assert.match(denied.stderr, /does not allow/);
  });
});
