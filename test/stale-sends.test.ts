import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createSimDriver, Edge, type CanInterface } from "@canfleet/edge";
import { Hub } from "@canfleet/hub";
import {
  busTopic,
  decodeSendReport,
  encodeSendRequest,
  FrameBatch,
  HubConnection,
  isCanfleetError,
  Message,
  MqttBus,
  TCPBus,
} from "@canfleet/sdk";
import { SocketPairs } from "./socket-pairs.ts";

const LIMIT_MS = 60_000;
/** Longer than the edge takes a way for fresh, and shorter than any end finds the connection dead. */
const STALL_MS = 5_000;

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (!condition()) {
    assert.ok(performance.now() < endMs, `waited in vain for ${what}`);
    await sleep(20);
  }
}

/** Between the edge and its peer; what the peer says can be held up. */
async function stallingProxy(t: TestContext, port: number): Promise<{ port: number; stall: (on: boolean) => void }> {
  const peers = new Set<Socket>();
  const pairs = new SocketPairs();
  const server = createServer((edge) => {
    const peer = connect(port, "127.0.0.1");
    peers.add(peer);
    pairs.join(edge, peer);
    edge.pipe(peer);
    // Not piped: a pipe goes on by itself whenever its end has drained.
    peer.on("data", (chunk) => edge.write(chunk));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    pairs.destroy();
    server.close();
  });
  const stall = (on: boolean): void => {
    for (const peer of peers)
      if (on) peer.pause();
      else peer.resume();
  };
  return { port: (server.address() as AddressInfo).port, stall };
}

/** A simulated bus that writes down the ids of what is put on it. */
function recordingDriver(channel: string, sent: number[]): CanInterface {
  const can = createSimDriver(channel);
  const send = can.send.bind(can);
  can.send = (batch, from) => {
    for (let i = from ?? 0; i < batch.count; i++) sent.push(batch.idWord[i]!);
    return send(batch, from);
  };
  return can;
}

it("what waited in a stalled connection is never put on the bus, and its senders learn it", async (t) => {
  const hub = await Hub.start({ listen: { host: "127.0.0.1", port: 0 }, http: false });
  t.after(() => hub.close());
  const proxy = await stallingProxy(t, Number(new URL(hub.mqttUrl).port));
  const sent: number[] = [];
  const edge = await Edge.start(
    {
      name: "pi-7",
      hub: `mqtt://127.0.0.1:${proxy.port}`,
      buses: [{ channel: `sim:stale${process.pid}`, name: "bus", send: "all" }],
    },
    { openInterface: () => recordingDriver(`stale${process.pid}`, sent) },
  );
  t.after(() => edge.close());

  const bus = await MqttBus.connect(hub.mqttUrl, { edge: "pi-7", bus: "bus" });
  t.after(() => bus.shutdown());
  /** Ids by nonce: the answers to others come on the same topic. */
  const asked = new Map<string, number>();
  const answers = new Map<number, string>();
  const statuses: { offsetUs: number | null; errorUs: number | null }[] = [];
  const plain = new HubConnection(hub.mqttUrl, {
    onMessage: (topic, payload) => {
      if (topic.endsWith("/status")) {
        const { clock } = JSON.parse(new TextDecoder().decode(payload)) as { clock: (typeof statuses)[0] };
        statuses.push(clock);
        return;
      }
      const { nonce, results } = decodeSendReport(payload);
      const id = asked.get(Buffer.from(nonce).toString("hex"));
      if (id !== undefined) answers.set(id, results[0]!);
    },
  });
  t.after(() => plain.close());
  await plain.ready();
  await plain.subscribe([busTopic("canfleet", "pi-7", "bus", "sent"), busTopic("canfleet", "+", "+", "status")], 1);
  /** As a simple client sends: without the edge's time, and with all the time to live that there is. */
  const sendPlain = (id: number): void => {
    const nonce = crypto.getRandomValues(new Uint8Array(16));
    asked.set(Buffer.from(nonce).toString("hex"), id);
    const frames = FrameBatch.of({ timestampUs: 0, idWord: id, data: Uint8Array.of(1) });
    plain.publish(busTopic("canfleet", "pi-7", "bus", "send"), encodeSendRequest(nonce, 60_000, frames));
  };
  const sendConfirmed = (id: number, ttlMs: number): Promise<unknown> =>
    bus.send(new Message({ arbitrationId: id, data: [1] }), { ttlMs, confirm: true });

  await until(() => statuses.some(({ offsetUs }) => offsetUs !== null), "the offset against the hub");
  const { offsetUs, errorUs } = statuses.find(({ offsetUs: known }) => known !== null)!;
  // One machine, one clock.
  assert.ok(Math.abs(offsetUs!) <= errorUs!, `offset ${offsetUs} µs, error ${errorUs} µs`);
  await sendConfirmed(0x10, 30_000);
  sendPlain(0x11);
  await until(() => answers.get(0x11) === "sent", "the first answer");

  proxy.stall(true);
  await sleep(100);
  sendPlain(0x20);
  const stale = sendConfirmed(0x21, 4_000).then(
    () => "sent",
    (error: unknown) => (isCanfleetError(error) ? error.code : String(error)),
  );
  await sleep(STALL_MS);
  assert.ok(!answers.has(0x20) && !sent.includes(0x20), "the way was not stalled");
  proxy.stall(false);

  await until(() => answers.has(0x20), "the answer of the simple client");
  assert.equal(answers.get(0x20), "expired");
  // A busy machine can be so late with the answer that the sender has given up.
  assert.match(await stale, /^SEND_(EXPIRED|NO_ANSWER)$/);
  await sendConfirmed(0x30, 30_000);
  await until(() => {
    if (answers.get(0x31) !== "sent") sendPlain(0x31);
    return answers.get(0x31) === "sent";
  }, "a fresh frame");
  assert.ok(
    [0x10, 0x11, 0x30, 0x31].every((id) => sent.includes(id)),
    `sent ${sent.join()}`,
  );
  assert.ok(!sent.includes(0x20) && !sent.includes(0x21), `sent late: ${sent.join()}`);
});

it("what waited in a stalled raw link is never put on the bus, and its sender learns it", async (t) => {
  const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false });
  t.after(() => bus.shutdown());
  const proxy = await stallingProxy(t, bus.port!);
  const sent: number[] = [];
  const channel = `stale-link${process.pid}`;
  const edge = await Edge.start(
    {
      name: "pi-7",
      buses: [{ channel: `sim:${channel}`, send: "all", links: [{ host: "127.0.0.1", port: proxy.port }] }],
    },
    { openInterface: () => recordingDriver(channel, sent) },
  );
  t.after(() => edge.close());
  await until(() => bus.link === "extended", "the link");
  const send = (id: number, ttlMs: number): Promise<string> =>
    bus.send(new Message({ arbitrationId: id, data: [1] }), { ttlMs, confirm: true }).then(
      () => "sent",
      (error: unknown) => (isCanfleetError(error) ? error.code : String(error)),
    );
  assert.equal(await send(0x10, 30_000), "sent");

  proxy.stall(true);
  await sleep(100);
  const stale = send(0x20, 1_000);
  const patient = send(0x21, 60_000);
  await sleep(STALL_MS);
  assert.ok(!sent.includes(0x20), "the way was not stalled");
  proxy.stall(false);

  // What is not too old comes out, behind what is.
  assert.equal(await patient, "sent");
  assert.match(await stale, /^SEND_(EXPIRED|NO_ANSWER)$/);
  assert.deepEqual(sent, [0x10, 0x21]);
});
