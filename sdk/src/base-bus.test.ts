import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BaseBus, type BaseBusOptions } from "./base-bus.ts";
import type { LossEvent, SendResult } from "./bus.ts";
import { parseFilters } from "./can/filter.ts";
import { FrameBatch } from "./can/frame-batch.ts";
import { Message } from "./can/message.ts";
import { Continuity } from "./continuity.ts";
import { isCanfleetError } from "./errors.ts";

/** The carrier's half of a bus, in memory: what is sent is kept, what arrives is told by the test. */
class MemoryBus extends BaseBus {
  readonly sent: Message[] = [];

  constructor(options: BaseBusOptions = {}) {
    super(options);
    this.connected();
  }

  send(message: Message): Promise<SendResult> {
    this.assertOpen();
    this.sent.push(message);
    return Promise.resolve({ timestampUs: undefined });
  }

  receive(...idWords: number[]): void {
    this.deliver(FrameBatch.of(...idWords.map((idWord) => ({ idWord }))), "pi-7/can0");
  }

  receiveBatch(batch: FrameBatch): void {
    this.deliver(batch, "pi-7/can0");
  }

  protected close(): Promise<void> {
    return Promise.resolve();
  }
}

async function ids(bus: MemoryBus): Promise<number[]> {
  const taken: number[] = [];
  for (let m = await bus.recv({ timeoutMs: 0 }); m; m = await bus.recv({ timeoutMs: 0 })) taken.push(m.arbitrationId);
  return taken;
}

describe("a bus", () => {
  it("hands out frames in order to recv, those that wait first", async () => {
    const bus = new MemoryBus();
    const first = bus.recv();
    const second = bus.recv({ timeoutMs: 10_000 });
    bus.receive(1, 2, 3);
    assert.equal((await first)?.arbitrationId, 1);
    assert.equal((await second)?.arbitrationId, 2);
    assert.equal((await bus.recv())?.channel, "pi-7/can0");
    assert.equal(await bus.recv({ timeoutMs: 1 }), null);
  });

  it("ends iteration and waiting recv at shutdown, and takes no more sends", async () => {
    const bus = new MemoryBus();
    bus.receive(1);
    const seen: number[] = [];
    const loop = (async () => {
      for await (const message of bus) seen.push(message.arbitrationId);
    })();
    const waiting = bus.recv();
    await bus.shutdown();
    await loop;
    assert.equal(await waiting, null);
    assert.deepEqual(seen, [1]);
    assert.throws(
      () => void bus.send(new Message()),
      (error) => isCanfleetError(error, "LINK_CLOSED"),
    );
    assert.equal(bus.state, "shutdown");
  });

  it("drops the oldest beyond its bound and counts them", async () => {
    const bus = new MemoryBus({ receiveQueueFrames: 4 });
    const losses: LossEvent[] = [];
    bus.on("loss", (loss) => losses.push(loss));
    bus.receive(1, 2);
    bus.receive(3, 4);
    bus.receive(5, 6);
    assert.deepEqual(losses, [{ channel: "pi-7/can0", lost: { app: 2 } }]);
    assert.deepEqual(await ids(bus), [3, 4, 5, 6]);
  });

  it("keeps nothing for recv while only listeners use it", async () => {
    const bus = new MemoryBus({ receiveQueueFrames: 2 });
    const losses: LossEvent[] = [];
    const heard: number[] = [];
    bus.on("loss", (loss) => losses.push(loss));
    bus.on("message", (message) => heard.push(message.arbitrationId));
    for (let i = 0; i < 5; i++) bus.receive(i, i);
    assert.equal(heard.length, 10);
    assert.deepEqual(losses, []);
    assert.deepEqual(await ids(bus), []);
    bus.receive(7);
    assert.deepEqual(await ids(bus), [7]);
  });

  it("passes filters, hands on losses, and lets batches be kept", () => {
    const bus = new MemoryBus({ filters: parseFilters("001") });
    const batches: FrameBatch[] = [];
    const losses: LossEvent[] = [];
    bus.on("batch", (batch) => batches.push(batch));
    bus.on("loss", (loss) => losses.push(loss));
    const batch = FrameBatch.of({ idWord: 1 }, { idWord: 2 });
    batch.lost = { kernel: null };
    bus.receiveBatch(batch);
    bus.setFilters([]);
    bus.receive(2);
    assert.deepEqual(
      batches.map(({ idWord }) => [...idWord]),
      [[1], [2]],
    );
    assert.deepEqual(losses, [{ channel: "pi-7/can0", lost: { kernel: null } }]);
  });

  it("sends periodically, first at once, with changed data, until it is stopped", (context) => {
    context.mock.timers.enable({ apis: ["setInterval"] });
    const bus = new MemoryBus();
    const task = bus.sendPeriodic(new Message({ arbitrationId: 1, data: [1] }), 10);
    context.mock.timers.tick(10);
    task.modify(new Message({ arbitrationId: 1, data: [2] }));
    context.mock.timers.tick(10);
    task.stop();
    context.mock.timers.tick(100);
    assert.deepEqual(
      bus.sent.map(({ data }) => data[0]),
      [1, 1, 2],
    );
    assert.throws(() => task.modify(new Message({ arbitrationId: 2 })), RangeError);
  });
});

describe("Continuity", () => {
  const batch = (epoch: number, seq: number, count: number, lost?: { [place: string]: number }): FrameBatch => {
    const made = FrameBatch.of(...Array.from({ length: count }, () => ({ idWord: 1 })));
    Object.assign(made, { epoch, seq, lost });
    return made;
  };

  it("counts what is missing and not explained", () => {
    const follow = new Continuity();
    assert.deepEqual(follow.follow("a/b", batch(1, 100, 10)), { missing: 0, repeated: false, lost: undefined });
    assert.equal(follow.follow("a/b", batch(1, 110, 5)).missing, 0);
    assert.equal(follow.follow("a/b", batch(1, 120, 5)).missing, 5);
    assert.equal(follow.follow("a/b", batch(1, 135, 5, { edge: 10, kernel: 99 })).missing, 0);
    assert.equal(follow.follow("a/c", batch(1, 5, 1)).missing, 0);
  });

  it("tells what it has seen, and begins anew with a new epoch", () => {
    const follow = new Continuity();
    follow.follow("a/b", batch(1, 100, 10));
    assert.ok(follow.follow("a/b", batch(1, 105, 5)).repeated);
    assert.deepEqual(follow.follow("a/b", batch(2, 50, 1)), { missing: 0, repeated: false, lost: undefined });
    assert.equal(follow.follow("a/b", batch(1, 200, 1)).missing, 90, "the end of the epoch before, late");
    assert.equal(follow.follow("a/b", batch(2, 51, 1)).missing, 0);
  });

  it("states each missing number once, at the places that the batch names as far as the gap goes", () => {
    const follow = new Continuity();
    assert.deepEqual(follow.follow("a/b", batch(1, 100, 10, { spool: 7, kernel: 1 })).lost, { kernel: 1 });
    assert.deepEqual(follow.follow("a/b", batch(1, 120, 10, { spool: 4, kernel: 2 })).lost, {
      kernel: 2,
      spool: 4,
      hub: 6,
    });
    assert.equal(follow.follow("a/b", batch(1, 130, 10, { spool: 6 })).lost, undefined);
  });
});
