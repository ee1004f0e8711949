import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSimDriver, Edge } from "@canfleet/edge";
import {
  busTopic,
  decodeSendReport,
  encodeSendRequest,
  FrameBatch,
  HubConnection,
  isCanfleetError,
  Message,
  MqttBus,
} from "@canfleet/sdk";
import type { HubReport } from "./hub-process.ts";
import { ask, kill, spawn, until } from "./rig.ts";

const PERIOD_MS = 50;
const STOP_MS = 5_000;
/** What is older than this when the hub goes on must not come out: longer than any time to live here. */
const STALE_MS = 2_000;
const TTL_MS = 1_000;

interface Asked {
  id: number;
  by: "bus" | "plain client";
  atMs: number;
  answer: string | undefined;
}

it("R21 what is sent to a hub that stands still never comes out later, and each sender is told", async (t) => {
  const hub = await spawn("hub-process.js", ["0"]);
  t.after(() => kill(hub));
  const { mqttUrl } = (await ask(hub)) as HubReport;
  const onBus = new Map<number, number>();
  const channel = `stopped${process.pid}`;
  const edge = await Edge.start(
    { name: "pi-7", hub: mqttUrl, buses: [{ channel: `sim:${channel}`, name: "bus", send: "all" }] },
    {
      openInterface: () => {
        const can = createSimDriver(channel);
        const send = can.send.bind(can);
        can.send = (batch, from) => {
          const outcome = send(batch, from);
          const first = from ?? 0;
          for (const id of batch.idWord.subarray(first, first + outcome.accepted)) {
            onBus.set(id, (onBus.get(id) ?? 0) + 1);
          }
          return outcome;
        };
        return can;
      },
    },
  );
  t.after(() => edge.close());
  const bus = await MqttBus.connect(mqttUrl, { edge: "pi-7", bus: "bus" });
  t.after(() => bus.shutdown());

  const asked: Asked[] = [];
  const byNonce = new Map<string, Asked>();
  const plain = new HubConnection(mqttUrl, {
    onMessage: (_topic, payload) => {
      const { nonce, results } = decodeSendReport(payload);
      const one = byNonce.get(Buffer.from(nonce).toString("hex"));
      if (one) one.answer = results[0];
    },
  });
  t.after(() => plain.close());
  await plain.ready();
  await plain.subscribe([busTopic("canfleet", "pi-7", "bus", "sent")], 1);

  const next = (by: Asked["by"]): Asked => {
    const one: Asked = { id: 0x80000000 + asked.length + 1, by, atMs: performance.now(), answer: undefined };
    asked.push(one);
    return one;
  };
  /** As a simple client does: without the edge's time. */
  const sendPlain = (): void => {
    const one = next("plain client");
    const nonce = randomBytes(16);
    byNonce.set(nonce.toString("hex"), one);
    const frames = FrameBatch.of({ timestampUs: 0, idWord: one.id, data: Uint8Array.of(1) });
    assert.ok(plain.publish(busTopic("canfleet", "pi-7", "bus", "send"), encodeSendRequest(nonce, TTL_MS, frames)));
  };
  const sendByBus = (): void => {
    const one = next("bus");
    const message = new Message({ arbitrationId: one.id - 0x80000000, isExtendedId: true, data: [1] });
    bus.send(message, { ttlMs: TTL_MS, confirm: true }).then(
      () => (one.answer = "sent"),
      (error: unknown) => (one.answer = isCanfleetError(error) ? error.code : String(error)),
    );
  };
  const sender = setInterval(() => {
    sendPlain();
    sendByBus();
  }, PERIOD_MS);
  t.after(() => clearInterval(sender));
  const sentBy = (by: Asked["by"], sinceMs: number): boolean =>
    asked.some((one) => one.by === by && one.atMs > sinceMs && one.answer === "sent");
  const bothSend = (sinceMs: number) => (): boolean => sentBy("bus", sinceMs) && sentBy("plain client", sinceMs);

  await until("frames are sent", bothSend(0));
  hub.kill("SIGSTOP");
  const isStopped = (): boolean => readFileSync(`/proc/${hub.pid}/stat`, "latin1").includes(") T ");
  await until("the hub stands still", isStopped);
  const stoppedMs = performance.now();
  await sleep(STOP_MS);
  const wentOnMs = performance.now();
  hub.kill("SIGCONT");
  await until("frames are sent again", bothSend(wentOnMs));
  clearInterval(sender);
  await until("everybody has an answer", () => asked.every(({ answer }) => answer !== undefined));

  const stale = asked.filter(({ atMs }) => atMs > stoppedMs && atMs < wentOnMs - STALE_MS);
  const count = (from: Asked[], answer: string): number => from.filter((one) => one.answer === answer).length;
  const sent = count(asked, "sent");
  const expired = count(asked, "expired") + count(asked, "SEND_EXPIRED");
  const unknown = count(asked, "SEND_NO_ANSWER");
  console.log(
    `R21 asked ${asked.length}, sent ${sent}, expired ${expired}, not known ${unknown}; ` +
      `${stale.length} waited for more than ${STALE_MS} ms, ${stale.filter(({ id }) => onBus.has(id)).length} of them sent`,
  );
  assert.deepEqual(
    stale.filter(({ id }) => onBus.has(id)),
    [],
    "nothing stale came out",
  );
  assert.equal(
    sent + expired + unknown,
    asked.length,
    "each was sent or expired, or its sender knows that it is not known",
  );
  for (const { id, answer } of asked) {
    const times = onBus.get(id) ?? 0;
    if (answer === "SEND_NO_ANSWER") assert.ok(times <= 1);
    else assert.equal(times, answer === "sent" ? 1 : 0, `what the answer ${answer} says`);
  }
});
