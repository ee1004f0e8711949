import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { collect, connectClient, rawSocket, startBroker, until } from "../harness.suite.ts";
import { isMqtt5 } from "./protocol-level.ts";

const V5 = { protocolVersion: 5 } as const;
const LARGE = 16_384;
const LIMIT = { timeout: 120_000 };

/** CONNECT of MQTT 5: flags, properties with their length, client id. */
function connectPacket(flags: number, properties: number[], clientId: string): Buffer {
  const id = [0, clientId.length, ...Buffer.from(clientId)];
  const body = [0, 4, ...Buffer.from("MQTT"), 5, flags, 0, 0, properties.length, ...properties, ...id];
  return Buffer.from([0x10, body.length, ...body]);
}

/** Everything that a raw connection gets. */
function hear(socket: Socket): { bytes: Buffer; ended: boolean } {
  const heard = { bytes: Buffer.alloc(0), ended: false };
  socket.on("data", (chunk: Buffer) => (heard.bytes = Buffer.concat([heard.bytes, chunk])));
  socket.once("close", () => (heard.ended = true));
  return heard;
}

async function connected(t: TestContext, port: number, id: string, properties: number[] = []) {
  const socket = await rawSocket(t, port);
  const heard = hear(socket);
  socket.write(connectPacket(2, properties, id));
  await until("CONNACK", () => heard.bytes.length > 3);
  assert.deepEqual([...heard.bytes.subarray(2, 4)], [0, 0]);
  heard.bytes = Buffer.alloc(0);
  return { socket, heard };
}

describe("an MQTT 5 client of MQTT.js", LIMIT, () => {
  it("publishes and receives at every QoS, together with clients of 3.1.1", async (t) => {
    const { url } = await startBroker(t);
    const [five, four] = [await connectClient(t, url, V5), await connectClient(t, url)];
    const [atFive, atFour] = [collect(five), collect(four)];
    await five.subscribeAsync("a/#", { qos: 2 });
    await four.subscribeAsync("a/#", { qos: 2 });
    for (const qos of [0, 1, 2] as const) {
      await five.publishAsync("a/five", `5-${qos}`, { qos });
      await four.publishAsync("a/four", `4-${qos}`, { qos });
    }
    await five.publishAsync("a/large", Buffer.alloc(300_000, 1), { qos: 1 });
    await until("all have come", () => atFive.length === 7 && atFour.length === 7);
    const shown = (of: typeof atFive): unknown => of.map(({ topic, payload, qos }) => [topic, payload.length, qos]);
    assert.deepEqual(shown(atFive), shown(atFour));
  });

  it("is told what the hub offers, and gets a client id when it has none", async (t) => {
    const { url } = await startBroker(t, { maxPacketBytes: 100_000 });
    const options = { ...V5, clientId: "", properties: { sessionExpiryInterval: 60 } };
    const client = await connectClient(t, url, options);
    const properties = await new Promise<object>((resolve) => {
      client.reconnect();
      client.once("connect", ({ properties: offered }) => resolve({ ...offered }));
    });
    const { assignedClientIdentifier, ...offered } = properties as { assignedClientIdentifier?: string };
    assert.match(assignedClientIdentifier ?? "", /^mqtt5_[0-9a-f]{16}$/);
    assert.deepEqual(offered, {
      sessionExpiryInterval: 0,
      receiveMaximum: 20,
      maximumPacketSize: 100_000,
      subscriptionIdentifiersAvailable: false,
      sharedSubscriptionAvailable: false,
    });
  });

  it("has its wishes of no local and retained messages", async (t) => {
    const { url } = await startBroker(t);
    const client = await connectClient(t, url, V5);
    const seen = collect(client);
    await client.publishAsync("kept/a", "1", { qos: 1, retain: true });
    await client.subscribeAsync("kept/#", { qos: 1, nl: true, rh: 2 });
    await client.publishAsync("kept/own", "2", { qos: 1 });
    const other = await connectClient(t, url);
    await other.publishAsync("kept/other", "3", { qos: 1 });
    await client.subscribeAsync("kept/+", { qos: 1, rh: 0 });
    await client.publishAsync("kept/end", "4", { qos: 1 });
    await until("the end has come", () => seen.some(({ payload }) => payload === "4"));
    assert.deepEqual(seen.map(({ payload }) => payload).sort(), ["1", "3", "4"]);
  });

  it("hears why each filter and publish is refused", async (t) => {
    const { url } = await startBroker(t);
    const client = await connectClient(t, url, V5);
    const codes: number[] = [];
    client.on("packetreceive", (packet) => {
      if (packet.cmd === "suback" || packet.cmd === "unsuback") codes.push(...(packet.granted as number[]));
    });
    const filters = ["fine", "$SYS/#", "$share/g/x", "kept"];
    const options = Object.fromEntries(filters.map((name) => [name, { qos: 1, rap: name === "kept" } as const]));
    await client.subscribeAsync(options).catch(() => undefined);
    await client.unsubscribeAsync(["fine", "never"]);
    assert.deepEqual(codes, [1, 0x87, 0x9e, 0x83, 0, 0x11]);
    await assert.rejects(client.publishAsync("canfleet/NOT A NAME/state", "x", { qos: 1 }), /Topic Name invalid|144/i);
    assert.ok(client.connected, "a refusal ends nothing");
  });

  it("has its will published unless it leaves with reason 0", async (t) => {
    const { url } = await startBroker(t);
    const seen = collect(await connectClient(t, url).then(async (c) => (await c.subscribeAsync("will/#"), c)));
    for (const reasonCode of [0, 4]) {
      const will = { topic: `will/${reasonCode}`, payload: Buffer.from("w"), qos: 1, retain: false } as const;
      const client = await connectClient(t, url, { ...V5, will });
      await client.endAsync(false, { reasonCode });
    }
    await until("the second one's came", () => seen.length > 0);
    assert.deepEqual(
      seen.map(({ topic }) => topic),
      ["will/4"],
    );
  });

  it("hears that it was taken over, and that the hub ends", async (t) => {
    const { broker, url } = await startBroker(t);
    const reasons: unknown[] = [];
    const connect = async (): Promise<void> => {
      const client = await connectClient(t, url, { ...V5, clientId: "one" });
      client.on("disconnect", ({ reasonCode }) => reasons.push(reasonCode));
    };
    await connect();
    await connect();
    await until("the first one knows", () => reasons.length === 1);
    await broker.close();
    await until("the second one knows", () => reasons.length === 2);
    assert.deepEqual(reasons, [0x8e, 0x8b]);
  });
});

describe("an MQTT 5 connection", LIMIT, () => {
  it("may come one byte at a time", async (t) => {
    const { port } = await startBroker(t);
    const socket = await rawSocket(t, port);
    const heard = hear(socket);
    const subscribe = Buffer.from([0x82, 8, 0, 1, 0, 0, 2, 97, 98, 1]);
    const publish = Buffer.from([0x32, 9, 0, 2, 97, 98, 0, 7, 2, 1, 0]);
    for (const byte of Buffer.concat([connectPacket(2, [], "slow"), subscribe, publish])) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const suback = Buffer.from([0x90, 4, 0, 1, 0, 1]);
    const delivered = [0, 2, 97, 98];
    await until(
      "all answers",
      () => heard.bytes.includes(suback) && heard.bytes.includes(Buffer.from([0x40, 2, 0, 7])),
    );
    await until("the message", () => heard.bytes.includes(Buffer.from(delivered), heard.bytes.indexOf(suback)));
  });

  const FAULTS: [what: string, bytes: number[], reason: number][] = [
    ["a topic alias", [0x30, 8, 0, 1, 97, 3, 0x23, 0, 1, 1], 0x94],
    ["a property that clients do not send", [0x30, 7, 0, 1, 97, 2, 0x24, 1, 1], 0x81],
    ["a property of another packet", [0x30, 9, 0, 1, 97, 5, 0x11, 0, 0, 0, 1], 0x82],
    ["a property twice", [0x30, 8, 0, 1, 97, 4, 1, 1, 1, 1], 0x82],
    ["a property length beyond the packet", [0x30, 5, 0, 1, 97, 99, 1], 0x81],
    ["a property that is not UTF-8", [0x30, 9, 0, 1, 97, 4, 3, 0, 1, 0xff, 1], 0x81],
    ["a subscription identifier", [0x82, 9, 0, 1, 2, 0x0b, 1, 0, 1, 97, 0], 0xa1],
    ["reserved subscription options", [0x82, 7, 0, 1, 0, 0, 1, 97, 0x40], 0x81],
    ["a retain handling of 3", [0x82, 7, 0, 1, 0, 0, 1, 97, 0x30], 0x82],
    ["a packet that is announced too large", [0x30, 0xff, 0xff, 0x7f], 0x95],
    ["AUTH", [0xf0, 0], 0x82],
    ["a topic name with a wildcard", [0x30, 4, 0, 1, 0x23, 0], 0x80],
  ];
  for (const [what, bytes, reason] of FAULTS) {
    it(`ends with ${what}, and DISCONNECT says why`, async (t) => {
      const { broker, port } = await startBroker(t);
      const { socket, heard } = await connected(t, port, "x");
      socket.write(Buffer.from(bytes));
      await until("it is closed", () => heard.ended);
      assert.deepEqual([...heard.bytes], [0xe0, 1, reason]);
      const { invalidPackets, oversizedPackets } = broker.counts();
      assert.equal(
        Object.values(invalidPackets).reduce((a, b) => a + b, oversizedPackets),
        1,
      );
    });
  }

  it("is refused with a reason in CONNACK", async (t) => {
    const { port } = await startBroker(t);
    for (const [properties, reason] of [
      [[0x15, 0, 1, 97], 0x8c],
      [[0x21, 0, 0], 0x82],
      [[0x21], 0x81],
    ] as const) {
      const socket = await rawSocket(t, port);
      const heard = hear(socket);
      socket.write(connectPacket(2, [...properties], "x"));
      await until("it is closed", () => heard.ended);
      assert.deepEqual([...heard.bytes], [0x20, 3, 0, reason, 0]);
    }
  });

  it("gets nothing that is larger than it takes, and QoS 0 alone when it limits what is on its way", async (t) => {
    const { port, url } = await startBroker(t);
    const { socket, heard } = await connected(t, port, "small", [0x27, 0, 0, 0, 40, 0x21, 0, 5]);
    socket.write(Buffer.from([0x82, 7, 0, 1, 0, 0, 1, 97, 2]));
    await until("SUBACK", () => heard.bytes.length >= 6);
    assert.deepEqual([...heard.bytes], [0x90, 4, 0, 1, 0, 0]);
    const publisher = await connectClient(t, url);
    for (const bytes of [1, 34, 35, 2]) await publisher.publishAsync("a", Buffer.alloc(bytes, 7), { qos: 1 });
    await until("the last", () => heard.bytes.length >= 6 + (6 + 1) + (6 + 34) + (6 + 2));
    const sizes: number[] = [];
    for (let at = 6; at < heard.bytes.length; at += 2 + heard.bytes[at + 1]!) sizes.push(heard.bytes[at + 1]! - 4);
    assert.deepEqual(sizes, [1, 34, 2]);
  });

  it("counts as one connection, and its address is known", async (t) => {
    const { broker, url } = await startBroker(t);
    const client = await connectClient(t, url, { ...V5, clientId: "one" });
    await until("the broker has written CONNACK", () => broker.clients().length === 1);
    assert.match(broker.clients()[0]!.address, /^127\.0\.0\.1:\d+$/);
    assert.equal(broker.counts().connections, 1);
    const closed = once(client as unknown as NodeJS.EventEmitter, "close");
    await client.endAsync();
    await closed;
    await until("it is forgotten", () => broker.counts().connections === 0);
  });
});

it("the level of a connection is known as soon as its bytes say so", () => {
  const five = connectPacket(2, [], "x");
  for (let length = 0; length < 9; length++) assert.equal(isMqtt5(five.subarray(0, length), LARGE), undefined);
  assert.equal(isMqtt5(five.subarray(0, 9), LARGE), true);
  assert.equal(isMqtt5(Buffer.from([0x10, 0x80, 0x01, 0, 4, ...Buffer.from("MQTT"), 5]), LARGE), true);
  for (const other of [[0x30], [0x10, 13, 0, 6], [0x10, 0xff, 0xff, 0x7f], [0x10, 0x80, 0x80, 0x80, 0x80, 0x80]]) {
    assert.equal(isMqtt5(Buffer.from(other), LARGE), false);
  }
});
