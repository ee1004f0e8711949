import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { MqttBus, TCPBus } from "@canfleet/sdk";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofCanUtils } from "./support/frame-text.ts";
import { firstDifference, Ledger } from "./support/ledger.ts";
import { Program } from "./support/program.ts";
import { cansend, must } from "./support/strangers.ts";
import { until } from "./support/until.ts";

const BURST = 40;

/** `count` frames that differ, as cansend writes them. */
function burst(count: number, id = "100"): string[] {
  return Array.from({ length: count }, (_, i) => `${id}#${i.toString(16).toUpperCase().padStart(4, "0")}`);
}

/** Puts frames on vcan0 by one process, close together. */
async function blast(frames: readonly string[]): Promise<void> {
  const player = Program.start("canplayer", ["-t", "vcan0=x"]);
  player.stdin.end(frames.map((frame) => `(0.000000) x ${frame}\n`).join(""));
  assert.equal(await player.exit(), 0, player.stderr);
}

describe("an edge through outages", () => {
  let hub: Hub;
  let fleet: Fleet;
  let edge: Program;
  let tcp: TCPBus;
  let mqtt: MqttBus;
  const tcpLedger = new Ledger("TCPBus");
  const mqttLedger = new Ledger("MqttBus");
  /** Frames that MqttBus was told are missing, by place. */
  const told: { [place: string]: number | null }[] = [];

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    tcp = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false });
    mqtt = await MqttBus.connect(hub.url, { edge: "pi", bus: "vcan0", connectTimeoutMs: 60_000 });
    tcp.on("batch", (batch) => tcpLedger.addBatch(batch));
    mqtt.on("batch", (batch) => mqttLedger.addBatch(batch));
    mqtt.on("loss", ({ lost }) => told.push(lost));
    await startEdge();
  });
  afterEach(() => {
    tcpLedger.clear();
    mqttLedger.clear();
    told.length = 0;
  });
  after(async () => {
    await tcp.shutdown();
    await mqtt.shutdown();
    await fleet.close();
    await Program.killAll();
  });

  async function startEdge(): Promise<void> {
    fleet.forget();
    edge = canfleet("edge", "vcan0", "127.0.0.1", `${tcp.port!}`, "--hub", hub.url, "--name", "pi");
    await fleet.ready("pi", "vcan0");
    await until("the raw link", () => tcp.isConnected);
  }

  /** The bus carries frames to both receivers, and to each of them exactly these. */
  async function carries(frames: readonly string[]): Promise<void> {
    await cansend("vcan0", ...frames);
    const ledgers = [tcpLedger, mqttLedger];
    const show = (): string => ledgers.map(({ name, frames: got }) => `${name}: ${got.join(" ")}`).join("\n");
    await until("the frames at both", () => ledgers.every((ledger) => ledger.count >= frames.length), undefined, show);
    for (const ledger of ledgers)
      assert.equal(firstDifference(frames.map(ofCanUtils), ledger.frames), undefined, ledger.name);
  }

  it("says that its interface is down, and goes on when it is up", async () => {
    await carries(["001#01"]);
    await must("ip", "link", "set", "vcan0", "down");
    await fleet.until("pi/vcan0/status", (status) => status.state === "down");
    await must("ip", "link", "set", "vcan0", "up");
    await fleet.until("pi/vcan0/status", (status) => status.state === "up");
    tcpLedger.clear();
    mqttLedger.clear();
    await carries(["002#02"]);
    assert.equal(edge.ended, undefined);
  });

  it("says that its interface is gone, and goes on when it is made again", async () => {
    await must("ip", "link", "delete", "vcan0");
    await fleet.until("pi/vcan0/status", (status) => status.state === "gone");
    await must("ip", "link", "add", "vcan0", "mtu", "72", "type", "vcan");
    await must("ip", "link", "set", "vcan0", "up");
    await fleet.until("pi/vcan0/status", (status) => status.state === "up");
    await carries(["003#03", "004##1AABB"]);
    assert.equal(edge.ended, undefined);
  });

  it("lives through the hub's sudden death; what was lost meanwhile is told by number", async () => {
    const { port } = hub;
    await carries(["005#05"]);
    await hub.program.stop("SIGKILL");
    await until("MqttBus to see it", () => !mqtt.isConnected);
    await blast(burst(BURST));
    await until("the burst over the raw link", () => tcpLedger.count >= 1 + BURST);
    fleet.forget();
    hub = await startHub(port);
    await fleet.ready("pi", "vcan0");
    await until("MqttBus", () => mqtt.isConnected);
    // MqttBus may have missed the first frames after the edge was back: go on until one comes.
    let probes = 0;
    await until("a frame after the outage", async () => {
      await cansend("vcan0", `006#${(probes++).toString(16).padStart(2, "0")}`);
      return mqttLedger.count > 1;
    });
    const produced = 1 + BURST + probes;
    const lost = (): number =>
      told.flatMap((losses) => Object.values(losses)).reduce<number>((sum, n) => sum + (n ?? 0), 0);
    const whole = (): boolean => mqttLedger.count + lost() === produced;
    await until("every frame delivered or told", whole, undefined, () => `${mqttLedger.count} ${JSON.stringify(told)}`);
    await until("the raw link to have all", () => tcpLedger.count === produced);
    console.log(`MqttBus: produced ${produced} delivered ${mqttLedger.count} told ${JSON.stringify(told)}`);
    assert.equal(edge.ended, undefined);
  });

  it("finds its host again when that comes back", async () => {
    const port = tcp.port!;
    await tcp.shutdown();
    tcp = await TCPBus.listen(port, { hostname: "127.0.0.1" });
    tcp.on("batch", (batch) => tcpLedger.addBatch(batch));
    await carries(["007#07"]);
    assert.equal(edge.ended, undefined);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`ends with 0 on ${signal}, after the last frames went out`, async () => {
      const frames = burst(BURST, "200");
      await blast(frames);
      assert.equal(await edge.stop(signal), 0, edge.stderr);
      await fleet.until("pi/state", (report) => report.state === "offline");
      const ledgers = [tcpLedger, mqttLedger];
      await until(
        "the last frames at both",
        () => ledgers.every((ledger) => ledger.count >= BURST),
        undefined,
        () => ledgers.map((ledger) => `${ledger.name} ${ledger.count}`).join(" "),
      );
      for (const ledger of ledgers) assert.equal(firstDifference(frames.map(ofCanUtils), ledger.frames), undefined);
      await startEdge();
    });
  }
});
