import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MqttBus, TCPBus, type Bus } from "@canfleet/sdk";
import { canfleet, ownFolder, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofCanUtils, type FrameText } from "./support/frame-text.ts";
import { assertSame, Ledger } from "./support/ledger.ts";
import { Program } from "./support/program.ts";
import { readRealLog, repace, skipWithoutLog } from "./support/real-log.ts";
import { cansend, ledgerOf, startPahoReader, startPipeReader } from "./support/strangers.ts";
import { until } from "./support/until.ts";

/** Longest wait for the whole log at every receiver, ms: 60 s of traffic on a slow kernel with one processor. */
const REPLAY_LIMIT_MS = 400_000;
const TOPIC = "canfleet/pi/vcan0/frames";
/** The recorder's clock was set while it ran: pauses of 13 days, one of them backwards, are not waited for. */
const LONGEST_PAUSE_S = "2";
/** Sent behind each replay: a frame too many would stand in front of it. */
const SENTINEL = "7FF#5E";

/**
 *     canplayer → vcan0 → canfleet edge ┬→ TCPBus (extended link)
 *                                       └→ canfleet hub ┬→ MqttBus
 *                                                       ├→ mosquitto_sub | Python, cbor2
 *                                                       └→ Python, paho, cbor2
 */
describe("a recorded log through every way out", { skip: skipWithoutLog() }, () => {
  const tcpLedger = new Ledger("TCPBus");
  const mqttLedger = new Ledger("MqttBus");
  let hub: Hub;
  let fleet: Fleet;
  let buses: Bus[];
  let pipe: Program;
  let paho: Program;
  let produced = 0;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    const tcp = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false });
    const mqtt = await MqttBus.connect(hub.url, { edge: "pi", bus: "vcan0", connectTimeoutMs: 60_000 });
    buses = [tcp, mqtt];
    follow(tcp, tcpLedger);
    follow(mqtt, mqttLedger);
    pipe = await startPipeReader(hub, TOPIC);
    paho = await startPahoReader(hub.port, TOPIC);
    canfleet("edge", "vcan0", "127.0.0.1", `${tcp.port!}`, "--hub", hub.url, "--name", "pi");
    await fleet.ready("pi", "vcan0");
    await until("the raw link", () => tcp.isConnected);
  });

  after(async () => {
    await Promise.all(buses.map((bus) => bus.shutdown()));
    await fleet.close();
    await Program.killAll();
  });

  /** Plays the lines onto vcan0 and checks every receiver against them. */
  async function replay(lines: readonly string[], frames: readonly FrameText[]): Promise<void> {
    const expected = [...frames, ofCanUtils(SENTINEL)];
    produced += expected.length;
    tcpLedger.clear();
    mqttLedger.clear();
    pipe.lines.length = paho.lines.length = 0;
    const file = join(ownFolder(), "replay.log");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const player = await Program.run("canplayer", ["-s", LONGEST_PAUSE_S, "-I", file, "vcan0=can0"]);
    assert.equal(player.ended, 0, player.stderr);
    await cansend("vcan0", SENTINEL);
    const counts = (): number[] => [tcpLedger.count, mqttLedger.count, pipe.lines.length, paho.lines.length];
    await until(
      "all frames at all receivers",
      () => counts().every((n) => n >= expected.length),
      REPLAY_LIMIT_MS,
      () =>
        [...counts(), ...tcpLedger.losses, ...mqttLedger.losses, JSON.stringify(fleet.report("pi/vcan0/status"))].join(
          " ",
        ),
    );
    for (const ledger of [tcpLedger, mqttLedger, ledgerOf("mosquitto_sub | cbor2", pipe), ledgerOf("paho", paho)]) {
      assertSame(expected, ledger);
    }
  }

  it("arrives whole, in order and bit for bit at its own speed", async () => {
    const { lines, frames } = readRealLog();
    await replay(lines, frames);
  });

  it("arrives whole, in order and bit for bit at 10,000 frames/s", async () => {
    const { lines, frames } = readRealLog();
    await replay(repace(lines, 10_000), frames);
  });

  it("leaves every loss counter at 0", async () => {
    const status = await fleet.until("pi/vcan0/status", (report) => report.frames?.received === produced);
    assert.deepEqual(status.lost, { kernel: 0, edge: 0, link: 0 });
    assert.equal(status.seq, produced);
    console.log(`status: received ${produced}, lost ${JSON.stringify(status.lost)}`);
  });
});

function follow(bus: Bus, ledger: Ledger): void {
  bus.on("batch", (batch) => ledger.addBatch(batch));
  bus.on("loss", (loss) => ledger.losses.push(JSON.stringify(loss.lost)));
  bus.on("error", (error) => ledger.losses.push(error.message));
}
