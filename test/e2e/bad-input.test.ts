import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { HubConnection, Message, MqttBus } from "@canfleet/sdk";
import { canfleet, runCanfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { freePort } from "./support/port.ts";
import { Program } from "./support/program.ts";
import { until } from "./support/until.ts";

/** A command line that must fail with this exit code and one sentence in which these words are. */
const REFUSED: readonly [args: string[], code: number, words: RegExp][] = [
  [["edge", "nocan7", "--name", "a"], 1, /nocan7|no SocketCAN/],
  [["edge", "sim:car=can0", "--name", "Upper Case"], 78, /"Upper Case".*a–z/],
  [["edge", "sim:car=too/deep", "--name", "a"], 78, /too\/deep/],
  [["edge", "sim:car=can0", "--send", "123~7FF"], 78, /123~7FF|~/],
  [["hub", "--listen", "0.0.0.0:0"], 78, /other machines.*--insecure-lan/],
  [["dump"], 2, /BUS/],
  [["dumb", "a/b"], 2, /dump/],
  [["send", "sim:car", "123"], 2, /123/],
  [["play", "no-such-file.log", "sim:car"], 1, /no-such-file\.log/],
  [["ls", "--hub", "mqtt://127.0.0.1:1"], 3, /127\.0\.0\.1:1/],
];

describe("bad input", () => {
  let hub: Hub;
  let fleet: Fleet;
  let edge: Program;
  let rawPort: number;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    rawPort = await freePort();
    const raw = ["--listen", `127.0.0.1:${rawPort}`, "--send", "all"];
    edge = canfleet("edge", `sim:e${process.pid}=can0`, "--name", "pi", "--hub", hub.url, ...raw);
    await fleet.ready("pi", "can0");
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  for (const [args, code, words] of REFUSED) {
    it(`canfleet ${args.join(" ")} ends with ${code} and one sentence`, async () => {
      const { ended, stderr, lines } = await runCanfleet(...args);
      assert.equal(ended, code, stderr);
      assert.match(stderr, words);
      assert.doesNotMatch(stderr, /^\s+at /m, "no stack");
      assert.deepEqual(lines, [], "nothing on stdout");
    });
  }

  it("a port in use ends a second hub with one sentence that names it", async () => {
    const second = await runCanfleet("hub", "--listen", `127.0.0.1:${hub.port}`, "--http", "off");
    assert.equal(second.ended, 1, second.stderr);
    assert.match(second.stderr, new RegExp(`another program listens on .*${hub.port}`));
  });

  it("garbage on the raw port ends that connection alone, and puts nothing on the bus", async () => {
    const before = fleet.report("pi/can0/status")?.frames?.received;
    const socket = connect(rawPort, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    const closed = once(socket, "close");
    // A DLC of 255 in the first 13 bytes: no record, whatever the rest is.
    socket.write(Buffer.concat([Buffer.from("23010000ff0000000000000000", "hex"), randomBytes(4096)]));
    socket.resume();
    await closed;
    await sendsStill();
    const status = await fleet.until("pi/can0/status", (report) => report.frames?.received === (before ?? 0) + 1);
    assert.equal(status.frames?.received, (before ?? 0) + 1);
  });

  it("garbage CBOR on send is refused, and the next good request is executed", async () => {
    const client = new HubConnection(hub.url, {});
    await client.ready();
    for (const size of [0, 1, 20, 4000]) client.publish("canfleet/pi/can0/send", randomBytes(size));
    client.publish("canfleet/pi/can0/send", '{"id": 291}');
    await client.close();
    await edge.said(/refused a send request/);
    await sendsStill();
  });

  /** The edge executes a request and hears the frame on its bus. */
  async function sendsStill(): Promise<void> {
    const mqtt = await MqttBus.connect(hub.url, { edge: "pi", bus: "can0" });
    let heard = 0;
    mqtt.on("batch", (batch) => (heard += batch.count));
    await mqtt.send(new Message({ arbitrationId: 0x7ff }), { confirm: true, ttlMs: 30_000 });
    await until("the frame", () => heard > 0);
    await mqtt.shutdown();
    assert.equal(edge.ended, undefined);
  }
});
