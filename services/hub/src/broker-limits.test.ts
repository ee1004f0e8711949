import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { connect } from "mqtt";
import { collect, connectClient, connectPacket, rawSocket, startBroker, until } from "./harness.suite.ts";

/** A SUBSCRIBE to several filters at QoS 1. */
function subscribeTo(filters: readonly string[]): Buffer {
  const fields = filters.map((filter) => Buffer.from([0, filter.length, ...Buffer.from(filter), 1]));
  const body = Buffer.concat([Buffer.of(0, 1), ...fields]);
  return Buffer.concat([Buffer.of(0x82, (body.length & 0x7f) | 0x80, body.length >> 7), body]);
}

function qos2(messageId: number, topic: string, payloadBytes: number): Buffer {
  const body = Buffer.concat([Buffer.of(0, topic.length), Buffer.from(topic), Buffer.of(0, messageId)]);
  const length = body.length + payloadBytes;
  const head = Buffer.of(0x34, (length & 0x7f) | 0x80, length >> 7);
  return Buffer.concat([head, body, Buffer.alloc(payloadBytes)]);
}

describe("limits of the broker", { timeout: 120_000 }, () => {
  for (const clean of [true, false]) {
    it(`grants a client no more filters than it may have, ${clean ? "without" : "with"} a session`, async (t) => {
      const { port, broker } = await startBroker(t, { maxSubscriptions: 3 });
      const socket = await rawSocket(t, port);
      const hello = connectPacket("greedy");
      hello[9] = clean ? 2 : 0;
      socket.write(hello);
      await once(socket, "data");
      socket.write(subscribeTo(["a", "b", "c", "d", "e"]));
      assert.deepEqual([...((await once(socket, "data")) as [Buffer])[0].subarray(4)], [1, 1, 1, 0x80, 0x80]);
      socket.write(subscribeTo(["c", "d"]));
      assert.deepEqual([...((await once(socket, "data")) as [Buffer])[0].subarray(4)], [1, 0x80], "c is there already");
      assert.equal(broker.counts().refusals.full, 3);
      socket.write(Buffer.from("a2050002" + "000161", "hex")); // UNSUBSCRIBE a
      await once(socket, "data");
      socket.write(subscribeTo(["d"]));
      assert.deepEqual([...((await once(socket, "data")) as [Buffer])[0].subarray(4)], [1]);
    });
  }

  it("keeps nothing for a session's filters that were refused", async (t) => {
    const { url, broker } = await startBroker(t, { maxSubscriptions: 2 });
    const options = { clientId: "sneaky", clean: false } as const;
    const client = await connectClient(t, url, options);
    const granted = await client.subscribeAsync(["a", "b", "c", "d"], { qos: 1 }).catch((error: unknown) => error);
    assert.ok(granted instanceof Error, "two of four were refused");
    await client.endAsync();
    const publisher = await connectClient(t, url);
    for (const topic of ["c", "d", "a", "b"]) await publisher.publishAsync(topic, topic, { qos: 1 });
    const again = connect(url, { protocolVersion: 4, reconnectPeriod: 0, ...options });
    t.after(() => again.endAsync(true));
    const seen = collect(again);
    await until("what was granted is there", () => seen.length >= 2);
    await publisher.publishAsync("b", "end", { qos: 1 });
    await until("the end is there", () => seen.length >= 3);
    assert.deepEqual(
      seen.map(({ payload }) => payload),
      ["a", "b", "end"],
    );
    assert.equal(broker.counts().sessions, 1);
  });

  it("keeps messages only where they are retained by their meaning, and hands on the others", async (t) => {
    const { url, broker } = await startBroker(t, { retainTopics: ["mine/#"] });
    const watcher = await connectClient(t, url);
    await watcher.subscribeAsync("#", { qos: 1 });
    const seen = collect(watcher);
    const client = await connectClient(t, url);
    const kept = ["canfleet/e1/state", "canfleet/e1/can0/status", "canfleet/e1/can0/signals/M/S", "mine/x"];
    for (const topic of [...kept, "other/x", "canfleet/e1/can0/json"]) {
      await client.publishAsync(topic, "x", { qos: 1, retain: true });
    }
    await until("all came", () => seen.length >= 6);
    const counts = broker.counts();
    assert.deepEqual([counts.retainedMessages, counts.refusals["retain-topic"]], [4, 2]);
    const late = await connectClient(t, url);
    const lateSeen = collect(late);
    await late.subscribeAsync("#");
    await until("what is kept came", () => lateSeen.length >= 4);
    assert.deepEqual(lateSeen.map(({ topic }) => topic).sort(), [...kept].sort());
  });

  it("ends a connection with too many QoS 2 messages that wait for PUBREL, or too large ones, and forgets them", async (t) => {
    const { port, url, broker } = await startBroker(t, { maxUnreleased: 3, maxUnreleasedBytes: 10_000 });
    const halfOpen = async (payloadBytes: number, count: number): Promise<void> => {
      const socket = await rawSocket(t, port);
      socket.resume();
      socket.write(connectPacket(`half-open-${payloadBytes}`));
      for (let id = 1; id <= count; id++) socket.write(qos2(id, "x", payloadBytes));
      await once(socket, "close");
    };
    await halfOpen(10, 4);
    await halfOpen(6_000, 2);
    assert.equal(broker.counts().refusals.qos2, 2);
    const good = await connectClient(t, url);
    for (let i = 0; i < 10; i++) await good.publishAsync("x", Buffer.alloc(9_000), { qos: 2 });
  });

  it("keeps no more bytes for all sessions together than it may", async (t) => {
    const { url, broker } = await startBroker(t, { maxSessionBytes: 10_000 });
    for (const clientId of ["one", "two"]) {
      const client = await connectClient(t, url, { clientId, clean: false });
      await client.subscribeAsync("p", { qos: 1 });
      await client.endAsync();
    }
    const publisher = await connectClient(t, url);
    for (let i = 0; i < 5; i++) await publisher.publishAsync("p", Buffer.alloc(1_999), { qos: 1 });
    assert.equal(broker.counts().droppedMessages, 5);
    const back = await connectClient(t, url, { clientId: "one", clean: true });
    await back.endAsync();
    await until("the queue of one is gone", async () => {
      const before = broker.counts().droppedMessages;
      await publisher.publishAsync("p", Buffer.alloc(1_999), { qos: 1 });
      return broker.counts().droppedMessages === before;
    });
  });

  it("ends a session whose client is away for too long, and lets anybody have its client id", async (t) => {
    const { url, broker } = await startBroker(t, { maxSessions: 1, maxSessionAgeMs: 200 });
    const options = { clientId: "away", clean: false } as const;
    const client = await connectClient(t, url, options);
    await client.subscribeAsync("p", { qos: 1 });
    const publisher = await connectClient(t, url);
    await publisher.publishAsync("p", "while here", { qos: 1 });
    assert.equal(broker.counts().sessions, 1, "not while it is connected");
    await client.endAsync();
    await publisher.publishAsync("p", "while away", { qos: 1 });
    await until("the session has ended", () => broker.counts().sessions === 0);
    const other = await connectClient(t, url, { clientId: "other", clean: false });
    await other.subscribeAsync("p", { qos: 1 });
    const seen = collect(other);
    await publisher.publishAsync("p", "new", { qos: 1 });
    await until("the new message came", () => seen.length >= 1);
    assert.deepEqual(
      seen.map(({ payload }) => payload),
      ["new"],
    );
  });

  it("disconnects a client that says nothing, although it asked for no keepalive", async (t) => {
    const { port, gate } = await startBroker(t, { maxKeepaliveMs: 1_000 });
    const socket = await rawSocket(t, port);
    socket.resume();
    socket.write(connectPacket("silent"));
    await once(socket, "close");
    assert.equal(gate.cuts.keepalive, 1);
  });

  it("counts a connection without CONNECT", async (t) => {
    const { port, gate } = await startBroker(t, { connectTimeoutMs: 100 });
    const socket = await rawSocket(t, port);
    socket.resume();
    socket.write(connectPacket("slow").subarray(0, 5));
    await once(socket, "close");
    await until("it is counted", () => gate.cuts["connect-timeout"] === 1);
  });
});
