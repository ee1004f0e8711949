import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeSendRequest, FrameBatch, HubConnection, Message, MqttBus } from "@canfleet/sdk";
import { canfleet } from "../e2e/support/canfleet.ts";
import { Fleet } from "../e2e/support/fleet.ts";
import { Program } from "../e2e/support/program.ts";
import { PATIENCE_MS, until } from "../e2e/support/until.ts";
import { Rig } from "../faults/rig.ts";
import type { Broker, Engine } from "./engines.ts";

const ALLOWED = 0x7f0;
const RETAINED = 0x7f1;
const DENIED = 0x123;
/** Generous: a broker that has just lost a node may take its time. */
const TTL_MS = 60_000;
const RATE = { batchesPerSecond: 100, framesPerBatch: 32 };

/** What holds on every broker, asked through the hub that uses it. */
export function checkEngine(title: string, skip: string | false, start: () => Promise<Engine>): void {
  describe(`a fleet on ${title}`, { skip }, () => {
    let engine: Engine;
    let edge: Program;
    let fleet: Fleet;

    before(async () => {
      engine = await start();
      const hubs = engine.urls.flatMap((url) => ["--hub", url]);
      edge = canfleet("edge", "sim:boat=can0", "--name", "boat", "--send", "7F0,7F1", ...hubs);
      fleet = await Fleet.connect(engine.urls);
      await fleet.ready("boat", "can0");
    });
    after(async () => {
      await Program.killAll();
      await fleet.close();
    });

    const connect = (urls: string | string[]): Promise<MqttBus> =>
      MqttBus.connect(urls, { edge: "boat", bus: "can0", connectTimeoutMs: PATIENCE_MS });

    it("keeps state, info and status for those who come later, and for the hub", async (t) => {
      const later = await Fleet.connect(engine.urls);
      t.after(() => later.close());
      await later.ready("boat", "can0");
      await later.until("boat/info", ({ buses }) => buses?.can0?.driver === "sim");
      await until("the edge at the hub", async () => (await edgesOf(engine)).includes("boat online can0"));
    });

    it("carries frames, also to the page's WebSocket", async (t) => {
      for (const urls of [engine.urls, `${engine.httpUrl.replace("http:", "ws:")}/mqtt`]) {
        const bus = await connect(urls);
        t.after(() => bus.shutdown());
        let frames = 0;
        const lost: string[] = [];
        bus.on("batch", (batch) => (frames += batch.count));
        bus.on("loss", ({ lost: places }) => lost.push(JSON.stringify(places)));
        await until("100 frames", () => frames >= 100);
        assert.deepEqual(lost, []);
      }
    });

    it("answers requests to send, and sends nothing that is denied", async (t) => {
      const bus = await connect(engine.urls);
      t.after(() => bus.shutdown());
      const seen = new Set<number>();
      bus.on("message", ({ arbitrationId }) => seen.add(arbitrationId));
      const send = (arbitrationId: number): Promise<unknown> =>
        bus.send(new Message({ arbitrationId, data: [1] }), { confirm: true, ttlMs: TTL_MS });
      await assert.rejects(send(DENIED), { code: "SEND_DENIED" });
      await send(ALLOWED);
      await until("the frame on the bus", () => seen.has(ALLOWED));
      assert.ok(!seen.has(DENIED));
    });

    it("never has an edge send what was retained before it came", async (t) => {
      const client = new HubConnection(engine.urls);
      t.after(() => client.close());
      await client.ready(PATIENCE_MS);
      const frames = new FrameBatch(1);
      frames.push({ idWord: RETAINED, data: Uint8Array.of(1), flags: 0, timestampUs: 0 });
      const request = encodeSendRequest(new Uint8Array(16).fill(7), TTL_MS, frames, 0, 1);
      client.publish("canfleet/late/can0/send", request, { qos: 1, retain: true });
      const bus = await MqttBus.connect(engine.urls, { edge: "late", bus: "can0", connectTimeoutMs: PATIENCE_MS });
      t.after(() => bus.shutdown());
      const seen = new Set<number>();
      bus.on("message", ({ arbitrationId }) => seen.add(arbitrationId));
      const hubs = engine.urls.flatMap((url) => ["--hub", url]);
      const late = canfleet("edge", "sim:boat=can0", "--name", "late", "--send", "7F0,7F1", ...hubs);
      await fleet.ready("late", "can0");
      // What is retained comes before what is published after the subscription.
      await bus.send(new Message({ arbitrationId: ALLOWED, data: [1] }), { confirm: true, ttlMs: TTL_MS });
      await until("the frame on the bus", () => seen.has(ALLOWED));
      assert.ok(!seen.has(RETAINED));
      await late.stop();
    });

    it("speaks the will of an edge that is gone", async () => {
      await edge.stop("SIGKILL");
      await fleet.until("boat/state", ({ state }) => state === "offline");
      await until("it at the hub", async () => (await edgesOf(engine)).includes("boat offline can0"));
    });
  });
}

async function edgesOf({ httpUrl }: Engine): Promise<string[]> {
  const answer = (await (await fetch(`${httpUrl}/api/fleet`)).json()) as {
    edges: { edge: string; state: string; buses: { bus: string }[] }[];
  };
  return answer.edges.map(({ edge, state, buses }) => `${edge} ${state} ${buses.map(({ bus }) => bus).join()}`);
}

/** The books of a subscriber in complete order, while a broker that is not ours loses what it is made of. */
export function checkLedger(id: string, title: string, skip: string | false, start: () => Promise<Broker>): void {
  describe(`the ledger on ${title}`, { skip }, () => {
    after(() => Program.killAll());

    it(`${id} balances when a broker is killed`, async (t) => {
      const broker = await start();
      // Each party at another node, where there are several.
      const turned = (by: number): string[] => [...broker.urls.slice(by), ...broker.urls.slice(0, by)];
      const rig = await Rig.start(t, { broker: { edges: turned(0), hub: turned(1), subscriber: turned(2) } });
      for (const name of ["a", "b"]) await rig.startEdge(name, RATE);
      let acknowledged = 0;
      const listener = new HubConnection(turned(2), { onMessage: () => acknowledged++ });
      t.after(() => listener.close());
      await listener.ready(PATIENCE_MS);
      await listener.subscribe(["canfleet/+/ack"], 0);
      await until("acknowledgements", () => acknowledged > 2);
      await broker.fail();
      const before = acknowledged;
      await until("acknowledgements again", () => acknowledged > before + 4);
      const { lost } = await rig.settle(id);
      assert.equal(lost, 0);
    });
  });
}
