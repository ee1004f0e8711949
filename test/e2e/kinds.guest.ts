import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MqttBus, TCPBus } from "@canfleet/sdk";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofCanUtils } from "./support/frame-text.ts";
import { isFdKind, KINDS, kindTexts, recordText } from "./support/kinds.ts";
import { assertSame, Ledger } from "./support/ledger.ts";
import { freePort } from "./support/port.ts";
import { Program } from "./support/program.ts";
import { Candump, ledgerOf, startPahoReader, startPython } from "./support/strangers.ts";
import { until } from "./support/until.ts";

describe("every kind of frame", () => {
  let hub: Hub;
  let fleet: Fleet;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  async function writeKinds(): Promise<void> {
    const writer = startPython("write_frames.py", "vcan0");
    writer.stdin.end(`${KINDS.join("\n")}\n`);
    assert.equal(await writer.line(/^DONE/), `DONE ${KINDS.length}`);
  }

  it("passes unchanged over the extended link, over MQTT and to a stranger", async () => {
    const tcp = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false });
    const mqtt = await MqttBus.connect(hub.url, { edge: "pi", bus: "vcan0", connectTimeoutMs: 60_000 });
    const ledgers = [new Ledger("TCPBus"), new Ledger("MqttBus")];
    [tcp, mqtt].forEach((bus, i) => bus.on("batch", (batch) => ledgers[i]!.addBatch(batch)));
    const stranger = await startPahoReader(hub.port, "canfleet/pi/vcan0/frames");
    const edge = canfleet("edge", "vcan0", "127.0.0.1", `${tcp.port!}`, "--hub", hub.url, "--name", "pi");
    await fleet.ready("pi", "vcan0");
    await until("the raw link", () => tcp.isConnected);
    await writeKinds();
    const all = (): Ledger[] => [...ledgers, ledgerOf("paho", stranger)];
    await until(
      "all kinds at all receivers",
      () => all().every((ledger) => ledger.count >= KINDS.length),
      undefined,
      () =>
        all()
          .map((ledger) => `${ledger.name}: ${ledger.frames.join(" ")}`)
          .join("\n"),
    );
    for (const ledger of all()) assertSame(kindTexts(), ledger);
    await edge.stop();
    await tcp.shutdown();
    await mqtt.shutdown();
  });

  it("passes to a socketsocketcan host as far as its records can hold it; the rest is counted as lost", async () => {
    const port = await freePort();
    const host = startPython("seed_python_host.py", `${port}`);
    await host.line(/^LISTENING/);
    const edge = canfleet("edge", "vcan0", "127.0.0.1", `${port}`, "--hub", hub.url, "--name", "old");
    await host.line(/^CONNECTED/);
    await fleet.ready("old", "vcan0");
    await writeKinds();
    await host.line(/000007FE 1 5E/);
    const records = host.lines
      .filter((line) => /^\d+\.\d{6} /.test(line))
      .map((line) => line.slice(line.indexOf(" ") + 1));
    // The greeting: an error frame that says nothing (docs/wire-tcp.md 2).
    assert.equal(records.shift(), "20000000 8 434E464C01000000");
    assert.deepEqual(records, KINDS.filter((kind) => !isFdKind(kind)).map(recordText));
    const fdFrames = KINDS.filter(isFdKind).length;
    await fleet.until("old/vcan0/status", (status) => status.lost?.link === fdFrames);
    console.log(`socketsocketcan host: produced ${KINDS.length} delivered ${records.length} lost at link ${fdFrames}`);
    await edge.stop();
  });

  it("takes frames from a socketsocketcan host in 13-byte records and puts them on the bus", async () => {
    const port = await freePort();
    const host = startPython("seed_python_host.py", `${port}`);
    await host.line(/^LISTENING/);
    const candump = await Candump.start("vcan0");
    canfleet("edge", "vcan0", "127.0.0.1", `${port}`, "--hub", hub.url, "--name", "older");
    await host.line(/^CONNECTED/);
    await fleet.ready("older", "vcan0");
    host.stdin.write("123 2 AABB\n80000012 0 -\n40000321 5 -\n9FFFFFFF 8 0011223344556677\n7FF 1 5E\n");
    await candump.seen("7FF#5E");
    const sent = ["123#AABB", "00000012#", "321#R5", "1FFFFFFF#0011223344556677", "7FF#5E"];
    assert.deepEqual(candump.frames, sent.map(ofCanUtils));
    await candump.stop();
  });
});
