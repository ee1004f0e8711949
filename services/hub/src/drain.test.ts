import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { decodeAck, encodeBatch, FrameBatch } from "@canfleet/sdk";
import { collect, connectClient, frozenSubscriber, until } from "./harness.suite.ts";
import { Hub } from "./hub.ts";
import { Readiness } from "./readiness.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };

const EPOCH = 1_700_000_000_000_000;

function batch(seq: number): Buffer {
  const frames = new FrameBatch(1);
  frames.push({ idWord: 0x123, timestampUs: EPOCH });
  Object.assign(frames, { epoch: EPOCH, seq });
  return Buffer.from(encodeBatch(frames));
}

describe("a hub that is asked to end", { timeout: 120_000 }, () => {
  it("acknowledges what it has taken before it hangs up", async (t) => {
    const hub = await Hub.start({ listen: LOCAL, http: false });
    t.after(() => hub.close());
    const edge = await connectClient(t, hub.mqttUrl);
    const received = edge as unknown as NodeJS.EventEmitter;
    const acks: Uint8Array[] = [];
    received.on("message", (_topic: string, payload: Uint8Array) => acks.push(payload));
    await edge.subscribeAsync("canfleet/pi-7/ack");
    const closed = once(received, "close");
    await edge.publishAsync("canfleet/pi-7/can0/frames", batch(41), { qos: 1 });
    const ended = hub.close();
    await closed;
    assert.equal(acks.length, 1, "once, before the 200 ms after which it would be sent anyway");
    assert.deepEqual([...decodeAck(acks[0]!)], [["can0", [{ epoch: EPOCH, ranges: [[41, 42]] }]]]);
    await ended;
  });

  it("says so at once, and hangs up behind what it has sent", async (t) => {
    const hub = await Hub.start({ listen: LOCAL, http: LOCAL });
    t.after(() => hub.close());
    const { port } = new URL(hub.mqttUrl);
    const slow = await frozenSubscriber(t, Number(port), { id: "slow", filter: "x" });
    const publisher = await connectClient(t, hub.mqttUrl);
    const http = connect(Number(new URL(hub.httpUrl!).port), "127.0.0.1");
    await once(http, "connect");
    await publisher.publishAsync("x", Buffer.alloc(50_000, 7), { qos: 1 });
    const ended = hub.close();
    http.write("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    const [answer] = (await once(http, "data")) as [Buffer];
    assert.match(String(answer), /^HTTP\/1\.1 503 .*"status":"draining"/s);
    let bytes = 0;
    slow.on("data", (chunk: Buffer) => (bytes += chunk.length)).resume();
    await once(slow, "end");
    assert.ok(bytes > 50_000, `${bytes} bytes`);
    await ended;
  });

  it("frees its MQTT port for the next one, and publishes no wills", async (t) => {
    const hub = await Hub.start({ listen: LOCAL, http: false });
    t.after(() => hub.close());
    const subscriber = await connectClient(t, hub.mqttUrl);
    const seen = collect(subscriber);
    await subscriber.subscribeAsync("canfleet/+/state");
    const will = {
      topic: "canfleet/pi-7/state",
      payload: Buffer.from('{"state":"offline"}'),
      qos: 1,
      retain: true,
    } as const;
    await connectClient(t, hub.mqttUrl, { will });
    await hub.close();
    const next = await Hub.start({
      listen: { host: "127.0.0.1", port: Number(new URL(hub.mqttUrl).port) },
      http: false,
    });
    t.after(() => next.close());
    await until("the subscriber is gone", () => !subscriber.connected);
    assert.deepEqual(seen, []);
  });
});

it("readiness: each of its parts has subscribed and is connected, and the end has not begun", () => {
  const parts = [
    { isConnected: true, isSubscribed: true },
    { isConnected: false, isSubscribed: false },
  ];
  const readiness = new Readiness(parts);
  assert.equal(readiness.state, "starting");
  parts[1] = { isConnected: true, isSubscribed: true };
  assert.equal(readiness.state, "ready");
  parts[0]!.isConnected = false;
  assert.equal(readiness.state, "broker unreachable");
  readiness.drain();
  assert.equal(readiness.state, "draining");
});
