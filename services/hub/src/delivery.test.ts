import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import {
  connectClient,
  connectPacket,
  frozenSubscriber,
  rawSocket,
  startBroker,
  until,
  type TestBroker,
} from "./harness.suite.ts";
import { encodePublish, encodePublishHead } from "./publish-packet.ts";

const PUBLISHERS = 150;
const PAYLOAD_BYTES = 4_000;
const QUEUE_BYTES = 1024 * 1024;

/** 150 publishers that send one message each a round, and a subscriber who gets them all. */
class Load {
  rounds = 0;
  received = 0;
  outOfOrder = 0;
  readonly #sockets: Socket[];
  readonly #lastSeq = new Map<string, number>();

  private constructor(sockets: Socket[]) {
    this.#sockets = sockets;
  }

  static async start(t: TestContext, { url, port }: TestBroker): Promise<Load> {
    const sockets = await Promise.all(Array.from({ length: PUBLISHERS }, () => rawSocket(t, port)));
    await Promise.all(
      sockets.map(async (socket, i) => {
        socket.write(connectPacket(`publisher-${i}`));
        await once(socket, "data");
        socket.resume();
      }),
    );
    const load = new Load(sockets);
    const healthy = await connectClient(t, url, { clientId: "healthy" });
    await healthy.subscribeAsync("z/#");
    healthy.on("message", (topic, payload) => {
      const seq = payload.readUInt32BE(0);
      if (seq !== (load.#lastSeq.get(topic) ?? -1) + 1) load.outOfOrder++;
      load.#lastSeq.set(topic, seq);
      load.received++;
    });
    return load;
  }

  get published(): number {
    return this.rounds * PUBLISHERS;
  }

  /** Publishes rounds, each when the healthy subscriber has the one before; gives the longest round in ms. */
  async run(rounds: number, qos: 0 | 1 = 0): Promise<number> {
    let longestMs = 0;
    for (let i = 0; i < rounds; i++) {
      const startMs = performance.now();
      const payload = Buffer.alloc(PAYLOAD_BYTES);
      payload.writeUInt32BE(this.rounds++);
      this.#sockets.forEach((socket, k) => {
        if (qos === 0) socket.write(encodePublish(`z/${k}`, payload, false));
        else socket.write(Buffer.concat([encodePublishHead(`z/${k}`, payload.length, 1, false, 1), payload]));
      });
      await until("the healthy subscriber has the round", () => this.received >= this.published);
      longestMs = Math.max(longestMs, performance.now() - startMs);
    }
    return longestMs;
  }
}

async function stoppableSubscriber(t: TestContext, url: string, clientId: string): Promise<ChildProcess> {
  const child = fork(new URL("./counting-subscriber.suite.js", import.meta.url), [url, clientId, "z/#"]);
  t.after(() => child.kill("SIGKILL"));
  await once(child, "message");
  return child;
}

async function seenBy(child: ChildProcess): Promise<{ messages: number; missing: number }> {
  child.send("count");
  const [seen] = (await once(child, "message")) as [{ messages: number; missing: number }];
  return seen;
}

function viewOf({ broker }: TestBroker, clientId: string): { droppedMessages: number; queuedBytes: number } {
  return broker.clients().find(({ id }) => id === clientId) ?? { droppedMessages: 0, queuedBytes: 0 };
}

describe("delivery with a subscriber that stopped reading", { timeout: 240_000 }, () => {
  it("holds up nobody else, and the victim's drops are its sequence gaps", async (t) => {
    const hub = await startBroker(t, { maxQueuedBytes: QUEUE_BYTES, stallMs: 120_000, slowMs: 240_000 });
    const load = await Load.start(t, hub);
    const victim = await stoppableSubscriber(t, hub.url, "victim");
    const usualMs = await load.run(10);
    victim.kill("SIGSTOP");
    const withVictimMs = await load.run(60);
    const { droppedMessages, queuedBytes } = viewOf(hub, "victim");
    assert.ok(droppedMessages > 0, "36 MB do not fit into 1 MiB and the kernel's buffers");
    assert.ok(queuedBytes <= QUEUE_BYTES, `${queuedBytes} bytes wait`);
    assert.ok(withVictimMs < usualMs + 1_000, `longest round ${withVictimMs} ms, without the victim ${usualMs} ms`);
    assert.equal(load.outOfOrder, 0);
    assert.equal(viewOf(hub, "healthy").droppedMessages, 0);

    victim.kill("SIGCONT");
    await until("the victim caught up", () => viewOf(hub, "victim").queuedBytes === 0);
    await load.run(1);
    const dropped = viewOf(hub, "victim").droppedMessages;
    let seen = await seenBy(victim);
    while (seen.messages + dropped < load.published) seen = await seenBy(victim);
    assert.deepEqual(seen, { messages: load.published - dropped, missing: dropped });
    assert.equal(hub.broker.counts().droppedMessages, dropped);
  });

  it("disconnects it when it takes nothing for the stall time, and lives on", async (t) => {
    const hub = await startBroker(t, { maxQueuedBytes: QUEUE_BYTES, stallMs: 500 });
    const load = await Load.start(t, hub);
    await frozenSubscriber(t, hub.port, { id: "frozen", filter: "z/#" });
    await load.run(40);
    await until("the frozen one is gone", () => hub.broker.counts().evictions.stalled === 1);
    await until("it is forgotten", () => hub.broker.clients().every(({ id }) => id !== "frozen"));
    await load.run(5);
    assert.equal(load.outOfOrder, 0);
    assert.equal(hub.broker.counts().evictions.stalled, 1, "nobody else was disconnected");
  });

  it("disconnects one that stays above half of its bound, though it reads now and then", async (t) => {
    const hub = await startBroker(t, { maxQueuedBytes: QUEUE_BYTES, stallMs: 120_000, slowMs: 1_000 });
    const load = await Load.start(t, hub);
    const victim = await frozenSubscriber(t, hub.port, { id: "slow", filter: "z/#" });
    await load.run(40);
    const trickle = setInterval(() => void victim.read(1_000), 100);
    t.after(() => clearInterval(trickle));
    await until("it is gone", () => {
      const { slow, stalled } = hub.broker.counts().evictions;
      return slow === 1 && stalled === 0;
    });
  });

  it("survives the frozen one leaving by itself", async (t) => {
    const hub = await startBroker(t, { maxQueuedBytes: QUEUE_BYTES });
    const load = await Load.start(t, hub);
    const frozen = await frozenSubscriber(t, hub.port, { id: "frozen", filter: "z/#" });
    await load.run(40);
    frozen.resetAndDestroy();
    await until("it is gone", () => hub.broker.clients().every(({ id }) => id !== "frozen"));
    await load.run(5);
    assert.equal(load.outOfOrder, 0);
  });

  it("disconnects a QoS 1 subscriber rather than dropping what it was promised", async (t) => {
    const hub = await startBroker(t, { maxQueuedBytes: QUEUE_BYTES });
    const load = await Load.start(t, hub);
    await frozenSubscriber(t, hub.port, { id: "frozen", filter: "z/#", qos: 1 });
    await load.run(40, 1);
    assert.equal(hub.broker.counts().evictions["queue-full"], 1);
    assert.equal(load.outOfOrder, 0);
  });
});
