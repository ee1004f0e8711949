import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { connect } from "mqtt";
import {
  collect,
  connectClient,
  connectPacket,
  rawSocket,
  startBroker,
  subscribePacket,
  until,
} from "./harness.suite.ts";
import { encodePublish } from "./publish-packet.ts";

describe("the broker", { timeout: 120_000 }, () => {
  it("delivers all of 2000 retained messages that are each followed by another at once", async (t) => {
    const { url } = await startBroker(t);
    const subscriber = await connectClient(t, url);
    const publisher = await connectClient(t, url);
    await subscriber.subscribeAsync("d/#");
    const received = collect(subscriber);
    for (let i = 0; i < 2000; i++) {
      publisher.publish("d/status", `s${i}`, { retain: true });
      publisher.publish("d/frames", `f${i}`);
    }
    await until("all are there", () => received.length >= 4000);
    assert.deepEqual(
      received.filter(({ topic }) => topic === "d/status").map(({ payload }) => payload),
      Array.from({ length: 2000 }, (_, i) => `s${i}`),
    );
    assert.deepEqual(
      received.filter(({ topic }) => topic === "d/frames").map(({ payload }) => payload),
      Array.from({ length: 2000 }, (_, i) => `f${i}`),
    );
  });

  it("keeps retained and other messages of one topic in order, at QoS 0 and 1", async (t) => {
    const { url } = await startBroker(t);
    const subscriber = await connectClient(t, url);
    const publisher = await connectClient(t, url);
    await subscriber.subscribeAsync("o/+", { qos: 1 });
    const received = collect(subscriber);
    for (let i = 0; i < 200; i++) {
      publisher.publish("o/0", `${i}`, { retain: i % 2 === 0 });
      publisher.publish("o/1", `${i}`, { retain: i % 2 === 0, qos: 1 });
    }
    await until("all are there", () => received.length >= 400);
    for (const topic of ["o/0", "o/1"]) {
      const payloads = received.filter((message) => message.topic === topic).map(({ payload }) => Number(payload));
      assert.deepEqual(
        payloads,
        Array.from({ length: 200 }, (_, i) => i),
        topic,
      );
    }
  });

  it("does what a client sends in one piece in its order: publish, subscribe, publish", async (t) => {
    const { port } = await startBroker(t);
    const socket = await rawSocket(t, port);
    const received: Buffer[] = [];
    socket.on("data", (chunk) => received.push(chunk));
    const publish = (payload: string): Buffer => encodePublish("own/1", Buffer.from(payload), false);
    socket.write(connectPacket("own"));
    await until("it is connected", () => Buffer.concat(received).length >= 4);
    const filter = subscribePacket("own/#", 0);
    const ping = Buffer.of(0xc0, 0);
    socket.write(Buffer.concat([publish("early"), filter, publish("mine"), ping]));
    await until("the ping was answered", () => Buffer.concat(received).includes(Buffer.of(0xd0, 0)));
    const text = Buffer.concat(received).toString("latin1");
    assert.deepEqual([text.includes("early"), text.split("mine").length - 1], [false, 1]);
  });

  it("gives those who come and go while topics are busy what their subscriptions say", async (t) => {
    const { url } = await startBroker(t);
    const publisher = await connectClient(t, url);
    const keeper = await connectClient(t, url);
    const kept = collect(keeper);
    await keeper.subscribeAsync("busy/+");
    for (let round = 0; round < 20; round++) {
      const guest = await connectClient(t, url);
      const got = collect(guest);
      await guest.subscribeAsync(round % 2 === 0 ? "busy/1" : { "busy/1": { qos: 1 }, "busy/#": { qos: 0 } });
      publisher.publish("busy/1", `${round}`);
      await until("it is there", () => got.length > 0);
      await guest.unsubscribeAsync(round % 2 === 0 ? "busy/1" : ["busy/1", "busy/#"]);
      publisher.publish("busy/1", `${round} again`);
      await until("the keeper has both", () => kept.length === 2 * (round + 1));
      await guest.endAsync();
      assert.deepEqual(
        got.map(({ payload, qos }) => [payload, qos]),
        [[`${round}`, 0]],
      );
    }
  });

  it("delivers once at the highest QoS where filters overlap", async (t) => {
    const { url } = await startBroker(t);
    const subscriber = await connectClient(t, url);
    const publisher = await connectClient(t, url);
    await subscriber.subscribeAsync({
      "w/#": { qos: 0 },
      "w/+/x": { qos: 1 },
      "w/1/x": { qos: 0 },
      "+/1/y": { qos: 0 },
    });
    const received = collect(subscriber);
    await publisher.publishAsync("w/1/x", "one", { qos: 1 });
    await publisher.publishAsync("w/1/y", "two", { qos: 1 });
    await publisher.publishAsync("w/end", "end", { qos: 1 });
    await until("the last is there", () => received.some(({ payload }) => payload === "end"));
    assert.deepEqual(
      received.map(({ payload, qos }) => [payload, qos]),
      [
        ["one", 1],
        ["two", 0],
        ["end", 0],
      ],
    );
  });

  it("delivers at the lower of the published and the granted QoS, by wildcard too", async (t) => {
    const { url } = await startBroker(t);
    const publisher = await connectClient(t, url);
    for (const granted of [0, 1, 2] as const) {
      const subscriber = await connectClient(t, url);
      await subscriber.subscribeAsync("q/+", { qos: granted });
      const received = collect(subscriber);
      for (const qos of [0, 1, 2] as const) await publisher.publishAsync("q/x", "", { qos });
      await until("three are there", () => received.length >= 3);
      assert.deepEqual(
        received.map(({ qos }) => qos),
        [0, 1, 2].map((qos) => Math.min(qos, granted)),
      );
    }
  });

  it("publishes a retained will of a client that vanished, and shows it to later subscribers", async (t) => {
    const { url } = await startBroker(t);
    const watcher = await connectClient(t, url);
    await watcher.subscribeAsync("canfleet/+/state", { qos: 1 });
    const seen = collect(watcher);
    const edge = await connectClient(t, url, {
      will: { topic: "canfleet/e1/state", payload: Buffer.from("offline"), qos: 1, retain: true },
    });
    await edge.publishAsync("canfleet/e1/state", "online", { qos: 1, retain: true });
    edge.stream.destroy();
    await until("the will is there", () => seen.some(({ payload }) => payload === "offline"));
    assert.deepEqual(
      seen.map(({ payload, retain }) => [payload, retain]),
      [
        ["online", false],
        ["offline", false],
      ],
    );
    const late = await connectClient(t, url);
    const lateSeen = collect(late);
    await late.subscribeAsync("canfleet/#", { qos: 1 });
    await until("the retained will is there", () => lateSeen.length >= 1);
    assert.deepEqual(lateSeen, [{ topic: "canfleet/e1/state", payload: "offline", qos: 1, retain: true }]);
  });

  it("keeps QoS 1 messages for a session that is away, up to the bound", async (t) => {
    const { url, broker } = await startBroker(t, { maxSessionMessages: 5 });
    const options = { clientId: "away", clean: false } as const;
    const first = await connectClient(t, url, options);
    await first.subscribeAsync(["p/#", "p/+"], { qos: 1 });
    await first.endAsync();
    const publisher = await connectClient(t, url);
    for (let i = 0; i < 8; i++) await publisher.publishAsync("p/x", `${i}`, { qos: 1 });
    const dropped = broker.counts().droppedMessages;
    const received: string[] = [];
    const again = connect(url, { protocolVersion: 4, reconnectPeriod: 0, ...options });
    t.after(() => again.endAsync(true));
    again.on("message", (_topic, payload) => received.push(payload.toString()));
    await until("all that was kept is there", () => received.length >= 5);
    assert.deepEqual(received, ["0", "1", "2", "3", "4"]);
    assert.equal(dropped, 3);
  });

  it("swallows refused publishes, counts them and keeps the connection", async (t) => {
    const { url, broker } = await startBroker(t);
    const watcher = await connectClient(t, url);
    await watcher.subscribeAsync("#", { qos: 1 });
    const seen = collect(watcher);
    const client = await connectClient(t, url);
    await client.publishAsync("canfleet/e1/can0/send", "replay me", { qos: 1, retain: true });
    await client.publishAsync("$SYS/broker/connection/garage/state", "1", { qos: 1, retain: true });
    await client.publishAsync("canfleet/Bad Name/state", "x", { qos: 1, retain: true });
    await client.publishAsync("canfleet/e1/can0/send", "now", { qos: 1 });
    await until("the allowed one is there", () => seen.length >= 1);
    assert.deepEqual(
      seen.map(({ payload }) => payload),
      ["now"],
    );
    const { retained, reserved, name } = broker.counts().refusals;
    assert.deepEqual({ retained, reserved, name }, { retained: 1, reserved: 1, name: 1 });
    const late = await connectClient(t, url);
    const lateSeen = collect(late);
    await late.subscribeAsync("#");
    await client.publishAsync("end", "end", { qos: 1 });
    await until("the end is there", () => lateSeen.length >= 1);
    assert.deepEqual(
      lateSeen.map(({ topic }) => topic),
      ["end"],
    );
  });

  it("answers a refused subscription with 0x80", async (t) => {
    const { port } = await startBroker(t);
    const socket = await rawSocket(t, port);
    socket.write(connectPacket("raw"));
    await once(socket, "data");
    const filter = Buffer.from("$SYS/#");
    socket.write(Buffer.from([0x82, filter.length + 5, 0, 7, 0, filter.length, ...filter, 0]));
    const [suback] = (await once(socket, "data")) as [Buffer];
    assert.equal(suback.toString("hex"), "9003" + "0007" + "80");
  });

  it("ends a connection that announces too large a packet, before and after CONNECT", async (t) => {
    const { port, url, broker } = await startBroker(t, { maxPacketBytes: 100_000 });
    const stranger = await rawSocket(t, port);
    stranger.write(Buffer.from([0x10, 0x81, 0x80, 0x01])); // CONNECT of 16,385 bytes
    await once(stranger, "close");
    const client = await connectClient(t, url);
    await client.publishAsync("x", Buffer.alloc(99_000), { qos: 1 });
    const closed = new Promise<void>((resolve) => client.once("close", resolve));
    client.publish("x", Buffer.alloc(101_000));
    await closed;
    assert.equal(broker.counts().oversizedPackets, 2);
  });

  it("answers a CONNECT of an unknown version, or without a client id, with its CONNACK code", async (t) => {
    const { port, broker } = await startBroker(t);
    const version6 = "100f" + "00044d515454" + "06" + "02" + "003c" + "00" + "0002" + "6331";
    const withoutId = "100c" + "00044d515454" + "04" + "00" + "003c" + "0000";
    for (const [connectHex, connack] of [
      [version6, "20020001"],
      [withoutId, "20020002"],
    ] as const) {
      const socket = await rawSocket(t, port);
      const answer: Buffer[] = [];
      socket.on("data", (chunk) => answer.push(chunk));
      socket.write(Buffer.from(connectHex, "hex"));
      await once(socket, "close");
      assert.equal(Buffer.concat(answer).toString("hex"), connack);
    }
    assert.equal(broker.counts().invalidPackets.version, 1);
    assert.equal(broker.counts().invalidPackets["client-id"], 1);
  });

  it("ends a connection at an invalid packet, after what came before it in the same chunk, and publishes its will", async (t) => {
    const { url, port, broker } = await startBroker(t);
    const watcher = await connectClient(t, url);
    await watcher.subscribeAsync("#", { qos: 1 });
    const seen = collect(watcher);
    const socket = await rawSocket(t, port);
    // CONNECT with a will on "w", empty.
    socket.write(Buffer.from("1013" + "00044d515454" + "04" + "06" + "0000" + "00026331" + "000177" + "0000", "hex"));
    await once(socket, "data");
    socket.write(Buffer.concat([Buffer.from("3004000161" + "31", "hex"), subscribePacket("a#", 0)]));
    await once(socket, "close");
    await until("message and will are there", () => seen.length >= 2);
    assert.deepEqual(
      seen.map(({ topic }) => topic),
      ["a", "w"],
    );
    assert.equal(broker.counts().invalidPackets.filter, 1);
  });

  it("ends a connection that never says CONNECT", async (t) => {
    const { port } = await startBroker(t, { connectTimeoutMs: 50 });
    const socket = await rawSocket(t, port);
    socket.resume();
    await once(socket, "close");
  });

  it("refuses connections over the limit and takes one again when there is room", async (t) => {
    const { url, port, gate } = await startBroker(t, { maxConnections: 2 });
    const first = await connectClient(t, url);
    await connectClient(t, url);
    const third = await rawSocket(t, port);
    third.resume();
    await once(third, "close");
    await first.endAsync();
    await until("there is room", () => gate.connections < 2);
    await connectClient(t, url);
  });

  it("gives a new subscriber all retained messages, though they are more than may wait for it", async (t) => {
    const { url, broker } = await startBroker(t, { maxQueuedBytes: 100_000 });
    const publisher = await connectClient(t, url);
    for (let i = 0; i < 300; i++) publisher.publish(`r/${i}`, Buffer.alloc(4_000), { retain: true });
    await publisher.publishAsync("r/last", "", { qos: 1 });
    for (const qos of [0, 1] as const) {
      const subscriber = await connectClient(t, url);
      const received = collect(subscriber);
      await subscriber.subscribeAsync("r/#", { qos });
      await until("all are there", () => received.length >= 300);
    }
    assert.equal(broker.counts().droppedMessages, 0);
  });

  it("refuses retained messages over the limit, and takes those that replace or delete one", async (t) => {
    const { url, broker } = await startBroker(t, { maxRetained: 2, maxRetainedBytes: 12 });
    const client = await connectClient(t, url);
    const retain = (topic: string, payload: string): Promise<unknown> =>
      client.publishAsync(topic, payload, { qos: 1, retain: true });
    await retain("a", "12345");
    await retain("b", "12345");
    await retain("c", "1"); // too many
    await retain("b", "123456"); // too many bytes
    await retain("b", "1234");
    await retain("a", "");
    await retain("c", "1");
    assert.equal(broker.counts().refusals.full, 2);
    const late = await connectClient(t, url);
    const seen = collect(late);
    await late.subscribeAsync("+");
    await until("both are there", () => seen.length >= 2);
    assert.deepEqual(new Set(seen.map(({ topic, payload }) => `${topic}=${payload}`)), new Set(["b=1234", "c=1"]));
  });
});
