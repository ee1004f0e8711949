import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { decodeAck, encodeBatch, FrameBatch, RangeSet } from "@canfleet/sdk";
import type { MqttClient } from "mqtt";
import { connectClient, startBroker, until } from "./harness.suite.ts";
import { Taker } from "./taker.ts";

function payload(epoch: number, seq: number, count: number): Buffer {
  const batch = new FrameBatch(count);
  for (let i = 0; i < count; i++) batch.push({ idWord: 1, timestampUs: i });
  Object.assign(batch, { epoch, seq });
  return Buffer.from(encodeBatch(batch));
}

/** A broker, its taker, and a client that plays the edge pi and adds up what is acknowledged to it. */
async function rig(t: TestContext) {
  const { url } = await startBroker(t);
  const taker = new Taker(url, "canfleet", () => undefined);
  t.after(() => taker.close());
  await taker.start();
  const edge: MqttClient = await connectClient(t, url);
  const acknowledged = new Map<string, RangeSet>();
  const acks: number[] = [];
  edge.on("message", (_topic, bytes) => {
    acks.push(performance.now());
    for (const [bus, taken] of decodeAck(bytes)) {
      for (const { epoch, ranges } of taken) {
        const key = `${bus}@${epoch}`;
        if (!acknowledged.has(key)) acknowledged.set(key, new RangeSet());
        for (const [from, to] of ranges) acknowledged.get(key)!.add(from, to);
      }
    }
  });
  await edge.subscribeAsync("canfleet/pi/ack");
  const has = (key: string, from: number, to: number): boolean => acknowledged.get(key)?.has(from, to) ?? false;
  return { taker, edge, acknowledged, acks, has };
}

describe("Taker", () => {
  it("acknowledges what came live and as backfill, by bus and epoch, and no more", async (t) => {
    const { edge, acknowledged, has } = await rig(t);
    edge.publish("canfleet/pi/can0/frames", payload(7, 100, 10));
    edge.publish("canfleet/pi/can0/frames", payload(7, 120, 10));
    edge.publish("canfleet/pi/can0/backfill", payload(6, 5, 1));
    edge.publish("canfleet/pi/can1/frames", payload(8, 0, 3));
    edge.publish("canfleet/other/can0/frames", payload(7, 110, 10));
    await until("all is acknowledged", () => has("can1@8", 0, 3) && has("can0@6", 5, 6) && has("can0@7", 120, 130));
    assert.deepEqual(
      [...acknowledged.get("can0@7")!],
      [
        [100, 110],
        [120, 130],
      ],
    );
    edge.publish("canfleet/pi/can0/backfill", payload(7, 110, 10));
    await until("the gap is acknowledged", () => has("can0@7", 100, 130));
  });

  it("acknowledges again what arrives again, since the first acknowledgement may have been lost", async (t) => {
    const { edge, acks, has } = await rig(t);
    edge.publish("canfleet/pi/can0/frames", payload(7, 0, 10));
    await until("it is acknowledged", () => has("can0@7", 0, 10));
    const before = acks.length;
    edge.publish("canfleet/pi/can0/backfill", payload(7, 0, 10));
    await until("it is acknowledged again", () => acks.length > before);
  });

  it("gathers acknowledgements", async (t) => {
    const { edge, acks, has } = await rig(t);
    for (let seq = 0; seq < 2_000; seq += 10) edge.publish("canfleet/pi/can0/frames", payload(7, seq, 10));
    await until("all is acknowledged", () => has("can0@7", 0, 2_000));
    assert.ok(acks.length < 100, `${acks.length} acknowledgements for 200 batches`);
  });

  it("counts what is no batch and goes on", async (t) => {
    const { taker, edge, has } = await rig(t);
    edge.publish("canfleet/pi/can0/frames", "rubbish");
    edge.publish("canfleet/pi/can0/frames", payload(7, 0, 10));
    await until("the batch is acknowledged", () => has("can0@7", 0, 10));
    assert.equal(taker.badBatches, 1);
  });
});
