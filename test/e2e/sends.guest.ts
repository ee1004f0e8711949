import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import {
  decodeSendReport,
  encodeSendRequest,
  FLAG_ECHO,
  FLAG_OWN,
  FrameBatch,
  HubConnection,
  isCanfleetError,
  Message,
  MqttBus,
  TCPBus,
  type ErrorCode,
} from "@canfleet/sdk";
import { canfleet, startHub, startMosquitto, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofCanUtils } from "./support/frame-text.ts";
import { assertSame, Ledger } from "./support/ledger.ts";
import { Program } from "./support/program.ts";
import { Candump, cansend, must } from "./support/strangers.ts";
import { until } from "./support/until.ts";

/** Long enough for a kernel with slow system calls; no test waits for it. */
const PATIENT = { confirm: true, ttlMs: 30_000 };
/** A slow kernel can be so late with an answer that its sender has given up. */
const LATE = "SEND_NO_ANSWER";
/** Sent last: once it is on the bus, what is not there before it never comes. */
const SENTINEL = new Message({ arbitrationId: 0x7ff, data: [0x5e] });
const SENTINEL_TEXT = ofCanUtils("7FF#5E");

describe("sends onto a real bus", () => {
  let hub: Hub;
  let fleet: Fleet;
  const closers: (() => Promise<unknown>)[] = [];

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
  });
  beforeEach(() => fleet.forget());
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  async function startEdge(bus: string, url: string, ...options: string[]): Promise<Program> {
    const edge = canfleet("edge", bus, ...options, "--hub", url, "--name", "pi");
    closers.push(() => edge.stop());
    const watch = await Fleet.connect(url);
    closers.push(() => watch.close());
    await watch.ready("pi", bus);
    return edge;
  }

  async function openMqtt(bus: string, url = hub.url): Promise<MqttBus> {
    const mqtt = await MqttBus.connect(url, { edge: "pi", bus, connectTimeoutMs: 60_000 });
    closers.push(() => mqtt.shutdown());
    return mqtt;
  }

  async function openTcp(): Promise<TCPBus> {
    const tcp = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false });
    closers.push(() => tcp.shutdown());
    return tcp;
  }

  async function record(bus: string): Promise<Candump> {
    const candump = await Candump.start(bus);
    closers.push(() => candump.stop());
    return candump;
  }

  it("brings each sender's frame onto the bus once, tells its bus time and marks it at every subscriber", async () => {
    const tcp = await openTcp();
    const ledgers = [new Ledger("TCPBus"), new Ledger("MqttBus")];
    const candump = await record("vcan0");
    await startEdge("vcan0", hub.url, "127.0.0.1", `${tcp.port!}`, "--send", "all");
    const mqtt = await openMqtt("vcan0");
    [tcp, mqtt].forEach((bus, i) => bus.on("batch", (batch) => ledgers[i]!.addBatch(batch)));
    await until("the raw link", () => tcp.isConnected);

    const viaTcp = await tcp.send(new Message({ arbitrationId: 0x101, data: [1] }), PATIENT);
    const viaMqtt = await mqtt.send(new Message({ arbitrationId: 0x102, data: [2] }), PATIENT);
    await cansend("vcan0", "103#03");
    await candump.seen("103#03");

    const expected = ["101#01", "102#02", "103#03"].map(ofCanUtils);
    await until("three frames at both", () => ledgers.every((ledger) => ledger.count >= 3));
    assert.deepEqual(candump.frames, expected);
    assert.equal(viaTcp.timestampUs, candump.timeOf("101#01"));
    assert.equal(viaMqtt.timestampUs, candump.timeOf("102#02"));
    for (const ledger of ledgers) {
      assertSame(expected, ledger);
      // All three come from this host; two of them went through the edge's own socket.
      assert.deepEqual(ledger.flags, [FLAG_OWN | FLAG_ECHO, FLAG_OWN | FLAG_ECHO, FLAG_OWN], ledger.name);
    }
  });

  it("lets the host on the raw link send, but no MQTT client, unless told otherwise", async () => {
    const tcp = await openTcp();
    const candump = await record("vcan1");
    await startEdge("vcan1", hub.url, "127.0.0.1", `${tcp.port!}`);
    const mqtt = await openMqtt("vcan1");
    await until("the raw link", () => tcp.isConnected);
    await rejected(mqtt.send(new Message({ arbitrationId: 0x100 }), PATIENT), "SEND_DENIED");
    await tcp.send(SENTINEL, PATIENT);
    await candump.seen("7FF#5E");
    assert.deepEqual(candump.frames, [SENTINEL_TEXT]);
  });

  it("sends what the allow-list names and nothing else", async () => {
    const candump = await record("vcan2");
    await startEdge("vcan2", hub.url, "--send", "100:7F0,7FF");
    const mqtt = await openMqtt("vcan2");
    await mqtt.send(new Message({ arbitrationId: 0x105 }), PATIENT);
    await rejected(mqtt.send(new Message({ arbitrationId: 0x200 }), PATIENT), "SEND_DENIED");
    await rejected(mqtt.send(new Message({ arbitrationId: 0x105, isExtendedId: true }), PATIENT), "SEND_DENIED");
    await mqtt.send(SENTINEL, PATIENT);
    await candump.seen("7FF#5E");
    assert.deepEqual(candump.frames, [ofCanUtils("105#"), SENTINEL_TEXT]);
  });

  it("never executes a retained request, whichever broker kept it", async () => {
    const mosquitto = await startMosquitto();
    closers.push(() => mosquitto.program.stop());
    const topic = "canfleet/pi/vcan3/send";
    const request = encodeSendRequest(newNonce(), 60_000, FrameBatch.of({ idWord: 0x321 }));
    for (const url of [mosquitto.url, hub.url]) {
      const client = new HubConnection(url, {});
      await client.ready();
      client.publish(topic, request, { qos: 1, retain: true });
      await client.close();
    }
    const candump = await record("vcan3");
    const edge = await startEdge("vcan3", mosquitto.url, "--send", "all");
    await edge.said(/retained/);
    await (await openMqtt("vcan3", mosquitto.url)).send(SENTINEL, PATIENT);
    await edge.stop();
    await startEdge("vcan3", hub.url, "--send", "all");
    await (await openMqtt("vcan3")).send(SENTINEL, PATIENT);
    await until("both sentinels", () => candump.frames.filter((frame) => frame === SENTINEL_TEXT).length === 2);
    assert.deepEqual(candump.frames, [SENTINEL_TEXT, SENTINEL_TEXT]);
  });

  it("executes a request once, however often it comes", async () => {
    const candump = await record("vcan3");
    await startEdge("vcan3", hub.url, "--send", "all");
    const results: string[] = [];
    const client = new HubConnection(hub.url, {
      onMessage: (_topic, payload) => results.push(...decodeSendReport(payload).results),
    });
    closers.push(() => client.close());
    await client.ready();
    await client.subscribe(["canfleet/pi/vcan3/sent"], 1);
    const request = encodeSendRequest(newNonce(), 30_000, FrameBatch.of({ idWord: 0x111 }));
    client.publish("canfleet/pi/vcan3/send", request);
    await until("the first result", () => results.length === 1);
    client.publish("canfleet/pi/vcan3/send", request);
    await until("the second result", () => results.length === 2);
    assert.deepEqual(results, ["sent", "duplicate"]);
    await (await openMqtt("vcan3")).send(SENTINEL, PATIENT);
    await candump.seen("7FF#5E");
    assert.deepEqual(candump.frames, [ofCanUtils("111#"), SENTINEL_TEXT]);
  });

  it("drops what a full transmit queue kept too long, and sends what can still wait", async () => {
    const candump = await record("vcan4");
    await startEdge("vcan4", hub.url, "--send", "all");
    const mqtt = await openMqtt("vcan4");
    // A queue without room: each write is refused with ENOBUFS, as with a controller that gets no acknowledgement.
    await must("tc", "qdisc", "add", "dev", "vcan4", "root", "pfifo", "limit", "0");
    await rejected(
      mqtt.send(new Message({ arbitrationId: 0x222 }), { confirm: true, ttlMs: 200 }),
      "SEND_EXPIRED",
      LATE,
    );
    const patient = mqtt.send(new Message({ arbitrationId: 0x223 }), PATIENT);
    await must("tc", "qdisc", "del", "dev", "vcan4", "root");
    await patient;
    await mqtt.send(SENTINEL, PATIENT);
    await candump.seen("7FF#5E");
    assert.deepEqual(candump.frames, [ofCanUtils("223#"), SENTINEL_TEXT]);
  });
});

function newNonce(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

async function rejected(sent: Promise<unknown>, ...codes: ErrorCode[]): Promise<void> {
  await assert.rejects(sent, (error) => codes.some((code) => isCanfleetError(error, code)));
}
