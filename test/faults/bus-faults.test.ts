import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { Edge } from "@canfleet/edge";
import { Hub } from "@canfleet/hub";
import { FrameBatch, HubConnection, isCanfleetError, Message, MqttBus, type FrameParts } from "@canfleet/sdk";
import { until } from "../e2e/support/until.ts";
import { relayGuestTests } from "../lab/guest-tests.ts";
import { SOAK } from "./rig.ts";
import { ScriptedInterface } from "./scripted-interface.ts";

const ERROR_FRAMES = 100_000;
const ERRORS_PER_DATA = 25;
const BATCH_FRAMES = 250;
/** Status each second, and at most ten changes of state a second. */
const MOST_STATUS_PER_SECOND = 11;
const PATIENT_TTL_MS = 30_000;

const errorFrame = (classes: number, ...data: number[]): FrameParts => {
  return { idWord: 0x20000000 + classes, data: Uint8Array.from({ length: 8 }, (_, i) => data[i] ?? 0) };
};
/** A controller that goes through all its states for ever. */
const STATES = [errorFrame(0x204, 0, 0x08, 0, 0, 0, 0, 96, 1), errorFrame(0x40), errorFrame(0x100)];

interface Status {
  busState: string | null;
  errors: { frames: number; restarts: number };
}

/** A hub, an edge on a bus whose faults the test decides, and a subscriber in complete order. */
async function startBus(t: TestContext) {
  const hub = await Hub.start({ listen: { host: "127.0.0.1", port: 0 }, http: false });
  t.after(() => hub.close());
  const can = new ScriptedInterface("can0");
  const config = { name: "pi", hub: hub.mqttUrl, buses: [{ channel: "can0", send: "all" }] };
  const bus = await MqttBus.connect(hub.mqttUrl, { edge: "pi", bus: "can0", order: "complete" });
  t.after(() => bus.shutdown());
  const edge = await Edge.start(config, { openInterface: () => can });
  t.after(() => edge.close());
  const statuses: Status[] = [];
  const watcher = new HubConnection(hub.mqttUrl, {
    onMessage: (_topic, payload) => statuses.push(JSON.parse(new TextDecoder().decode(payload)) as Status),
  });
  t.after(() => watcher.close());
  await watcher.ready(30_000);
  await watcher.subscribe(["canfleet/pi/can0/status"], 0);
  await until("a status", () => statuses.length > 0);
  return { can, bus, statuses };
}

/** A frame whose first two bytes are a number. */
const numbered = (number: number): Message =>
  new Message({ arbitrationId: 0x100, data: [number >> 8, number & 0xff], isExtendedId: false });

/** What became of each frame, in the order in which they were handed over: `sent` or the error's code. */
async function sendAll(bus: MqttBus, numbers: number[], ttlMs: number): Promise<string[]> {
  const answers: Promise<string>[] = [];
  for (const number of numbers) {
    answers.push(
      bus.send(numbered(number), { ttlMs, confirm: true }).then(
        () => "sent",
        (error: unknown) => (isCanfleetError(error) ? error.code : String(error)),
      ),
    );
    await sleep(2);
  }
  return Promise.all(answers);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe("faults of a bus", () => {
  it("R23 a flood of error frames makes few events, and costs no other frame", async (t) => {
    const { can, bus, statuses } = await startBus(t);
    const errorFrames = ERROR_FRAMES * SOAK;
    const produced = errorFrames + errorFrames / ERRORS_PER_DATA;
    const data: number[] = [];
    let delivered = 0;
    let lost = 0;
    let next = 0;
    let disordered = 0;
    bus.on("loss", (loss) => (lost += Object.values(loss.lost).reduce<number>((sum, n) => sum + (n ?? 0), 0)));
    bus.on("batch", (batch) => {
      if (batch.seq < next) disordered++;
      next = batch.seq + batch.count;
      delivered += batch.count;
      for (let i = 0; i < batch.count; i++) {
        if (batch.idWord[i] === 0x100) data.push(new DataView(batch.payload(i).slice().buffer).getUint32(0));
      }
    });
    const before = statuses.length;
    const beganMs = performance.now();
    const batch = new FrameBatch(BATCH_FRAMES);
    for (let made = 0, errors = 0, numbers = 0; made < produced; made++) {
      if (made % (ERRORS_PER_DATA + 1) === ERRORS_PER_DATA) {
        const payload = new Uint8Array(8);
        new DataView(payload.buffer).setUint32(0, numbers++);
        batch.push({ idWord: 0x100, data: payload });
      } else batch.push(STATES[errors++ % STATES.length]!);
      if (batch.count < BATCH_FRAMES && made < produced - 1) continue;
      can.read(batch);
      batch.clear();
      await new Promise(setImmediate);
    }
    const tookMs = performance.now() - beganMs;
    await until("every frame", () => delivered + lost >= produced);
    await until("the count", () => statuses.at(-1)!.errors.frames === errorFrames);
    const seconds = (performance.now() - beganMs) / 1000 + 1;
    const events = statuses.length - before;
    console.log(
      `R23 produced ${produced} delivered ${delivered} lost-counted ${lost} unexplained ${produced - delivered - lost} ` +
        `twice ${Math.max(0, delivered - next)} disordered ${disordered}; ` +
        `${Math.round(errorFrames / tookMs)} error frames/ms made ${events} status messages`,
    );
    assert.deepEqual(
      { delivered, lost, next, disordered },
      { delivered: produced, lost: 0, next: produced, disordered: 0 },
    );
    assert.deepEqual(data, range(0, errorFrames / ERRORS_PER_DATA));
    assert.ok(events <= seconds * MOST_STATUS_PER_SECOND, `${events} in ${seconds} s`);
    assert.equal(statuses.at(-1)!.errors.restarts, Math.floor(errorFrames / STATES.length));
  });

  it("R24 a transmit queue that is full for a moment delays frames; all go out, in order", async (t) => {
    const { can, bus } = await startBus(t);
    can.refusal = { kind: "no-buffer", errno: "ENOBUFS" };
    const answers = sendAll(bus, range(0, 300), PATIENT_TTL_MS);
    await sleep(300);
    assert.equal(can.written.length, 0);
    can.mostAtOnce = 3;
    can.refusal = undefined;
    await until("some frames", () => can.written.length > 30);
    can.refusal = { kind: "no-buffer", errno: "EAGAIN" };
    await sleep(100);
    can.refusal = undefined;
    const codes = await answers;
    console.log(`R24 300 ms: asked ${codes.length} sent ${can.written.length} in order`);
    assert.deepEqual(can.written, range(0, 300));
    assert.ok(codes.every((code) => code === "sent"));
  });

  it("R24 frames whose time is over while the queue is full are answered, and never sent", async (t) => {
    const { can, bus } = await startBus(t);
    can.refusal = { kind: "no-buffer", errno: "ENOBUFS" };
    const codes = await sendAll(bus, range(0, 100), 500);
    await sleep(2_000);
    assert.equal(can.written.length, 0);
    can.refusal = undefined;
    const after = await sendAll(bus, range(100, 120), PATIENT_TTL_MS);
    const expired = codes.filter((code) => code === "SEND_EXPIRED").length;
    console.log(`R24 3 s: asked ${codes.length} expired ${expired}; then sent ${after.length} of ${after.length}`);
    assert.equal(expired, codes.length);
    assert.ok(after.every((code) => code === "sent"));
    assert.deepEqual(can.written, range(100, 120));
  });
});

relayGuestTests("faults of a real bus", fileURLToPath(new URL("bus-faults.guest.js", import.meta.url)), {
  limitSeconds: 400,
});
