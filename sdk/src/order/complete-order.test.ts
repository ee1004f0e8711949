import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameBatch } from "../can/frame-batch.ts";
import { readBatchHeader, type BatchNotes } from "../wire/batch-notes.ts";
import { encodeBatch } from "../wire/batch.ts";
import { RangeSet } from "../wire/range-set.ts";
import { CompleteOrder, type CompleteOrderOptions } from "./complete-order.ts";

const CHANNEL = "pi/can0";

function batchBytes(epoch: number, seq: number, count: number, notes?: BatchNotes): Uint8Array {
  const batch = new FrameBatch(count);
  for (let i = 0; i < count; i++) batch.push({ idWord: 1, data: Uint8Array.of(i), timestampUs: i });
  batch.epoch = epoch;
  batch.seq = seq;
  return encodeBatch(batch, 0, count, notes);
}

/** An order that writes down what comes out, and fails at once when something comes twice or out of order. */
function rig(options: CompleteOrderOptions = {}) {
  const delivered = new Map<number, RangeSet>();
  const lost = new Map<number, RangeSet>();
  const asked: [epoch: number, from: number, to: number][] = [];
  const losses: string[] = [];
  const last = new Map<number, number>();
  const note = (into: Map<number, RangeSet>, epoch: number, from: number, to: number): void => {
    assert.ok(from >= (last.get(epoch) ?? 0), `epoch ${epoch}: ${from} came after ${last.get(epoch)}`);
    last.set(epoch, to);
    if (!into.has(epoch)) into.set(epoch, new RangeSet());
    into.get(epoch)!.add(from, to);
  };
  const order = new CompleteOrder(
    {
      deliver: (_channel, payload, skip) => {
        const { epoch, seq, count } = readBatchHeader(payload);
        assert.ok(skip >= 0 && skip < count);
        note(delivered, epoch, seq + skip, seq + count);
      },
      lost: (_channel, { epoch, from, to, place }) => {
        note(lost, epoch, from, to);
        losses.push(`${epoch}:${from}-${to}@${place}`);
      },
      endMissed: (channel) => losses.push(`${channel}: an end`),
      ask: (_channel, epoch, from, to) => asked.push([epoch, from, to]),
    },
    options,
  );
  return { order, delivered, lost, asked, losses };
}

describe("CompleteOrder", () => {
  it("says that the end of an epoch was missed when the way was interrupted and the edge has begun anew", () => {
    const { order, losses } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(2, 0, 4), true, 1); // restarted while it was heard: that is what new epochs are
    order.cut();
    order.accept(CHANNEL, batchBytes(2, 4, 4), true, 2); // only the way was interrupted
    order.accept(CHANNEL, batchBytes(3, 0, 4), true, 3);
    assert.deepEqual(losses, []);
    order.cut();
    order.accept(CHANNEL, batchBytes(3, 4, 4), false, 4);
    assert.deepEqual(losses, []);
    order.accept(CHANNEL, batchBytes(4, 8, 4), true, 5);
    order.accept(CHANNEL, batchBytes(4, 12, 4), true, 6);
    assert.deepEqual(losses, [`${CHANNEL}: an end`]);
  });

  it("delivers what comes late before what came early", () => {
    const { order, delivered, asked } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 1);
    assert.deepEqual([...delivered.get(1)!], [[0, 4]]);
    order.accept(CHANNEL, batchBytes(1, 4, 4), false, 2);
    assert.deepEqual([...delivered.get(1)!], [[0, 12]]);
    order.tick(10_000);
    assert.deepEqual(asked, []);
  });

  it("gives nothing up while the way to the hub is interrupted again and again", () => {
    const { order, losses, delivered } = rig({ giveUpMs: 3_000 });
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 1);
    for (let nowMs = 1_000; nowMs < 10_000; nowMs += 1_000) {
      order.cut();
      order.tick(nowMs + 900);
      order.accept(CHANNEL, batchBytes(1, 8 + nowMs / 250, 4), true, nowMs + 950);
      order.tick(nowMs + 960);
    }
    assert.deepEqual(losses, []);
    order.accept(CHANNEL, batchBytes(1, 4, 4), false, 10_000);
    assert.deepEqual([...delivered.get(1)!], [[0, 48]]);
  });

  it("gives up what did not come in time since the way was there again", () => {
    const { order, losses } = rig({ giveUpMs: 3_000 });
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 1);
    order.cut();
    order.accept(CHANNEL, batchBytes(1, 12, 4), true, 1_000);
    for (let nowMs = 2_000; nowMs < 3_900; nowMs += 100) {
      order.accept(CHANNEL, batchBytes(1, 12, 4), true, nowMs);
      order.tick(nowMs);
    }
    assert.deepEqual(losses, []);
    order.accept(CHANNEL, batchBytes(1, 12, 4), true, 4_100);
    order.tick(4_100);
    assert.deepEqual(losses, ["1:4-8@hub"]);
  });

  it("at its end delivers what is held and states what was still missing before it", () => {
    const { order, delivered, losses } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 1);
    order.accept(CHANNEL, batchBytes(1, 16, 4), true, 1);
    order.finish();
    assert.deepEqual(losses, ["1:4-8@hub", "1:12-16@hub"]);
    assert.equal(order.heldBytes, 0);
    order.finish();
    assert.deepEqual([...delivered.get(1)!].at(-1), [16, 20]);
    assert.equal(losses.length, 2);
  });

  it("asks for a gap after a while, asks again, and then states it as lost", () => {
    const { order, asked, losses, delivered } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 100);
    order.tick(399);
    assert.deepEqual(asked, []);
    for (let ms = 400; ms < 5_100; ms += 100) {
      order.accept(CHANNEL, batchBytes(1, 8, 4), true, ms);
      order.tick(ms);
    }
    assert.equal(asked.length, 5);
    assert.deepEqual(asked[0], [1, 4, 8]);
    assert.deepEqual(losses, []);
    order.tick(5_100);
    assert.deepEqual(losses, ["1:4-8@hub"]);
    assert.deepEqual(
      [...delivered.get(1)!],
      [
        [0, 4],
        [8, 12],
      ],
    );
  });

  it("does not count the time in which nothing was heard of the bus", () => {
    const { order, losses, delivered } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 100);
    order.tick(59_000);
    assert.deepEqual(losses, []);
    order.accept(CHANNEL, batchBytes(1, 12, 4), true, 59_500);
    order.tick(61_000);
    assert.deepEqual(losses, []);
    order.accept(CHANNEL, batchBytes(1, 4, 4), false, 61_200);
    assert.deepEqual([...delivered.get(1)!], [[0, 16]]);
  });

  it("states a gap as lost at last when the bus does not come back", () => {
    const { order, losses } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.accept(CHANNEL, batchBytes(1, 8, 4), true, 100);
    order.tick(60_100);
    assert.deepEqual(losses, ["1:4-8@hub"]);
  });

  it("does not wait for what the edge says is gone", () => {
    const { order, losses, delivered } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    order.gone(CHANNEL, { epoch: 1, from: 2, to: 6, place: "spool" }, 1);
    order.accept(CHANNEL, batchBytes(1, 8, 4, { gone: [{ epoch: 1, from: 6, to: 8, place: "edge" }] }), true, 2);
    assert.deepEqual(losses, ["1:4-6@spool", "1:6-8@edge"]);
    assert.equal(delivered.get(1)!.end, 12);
  });

  it("waits without asking while the edge says that the frames are still to come", () => {
    const { order, losses, asked } = rig();
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    for (let n = 0; n < 100; n++) {
      order.accept(CHANNEL, batchBytes(1, 100 + n, 1, { held: 4 }), true, n * 200);
      order.tick(n * 200 + 100);
    }
    assert.deepEqual([losses, asked], [[], []]);
  });

  it("owes a new subscriber what is still to come on backfill, and nothing older", () => {
    const { order, delivered } = rig();
    order.accept(CHANNEL, batchBytes(5, 1000, 4, { held: 600 }), true, 0);
    order.accept(CHANNEL, batchBytes(3, 40, 2), false, 0);
    order.accept(CHANNEL, batchBytes(5, 600, 400), false, 0);
    assert.deepEqual([...delivered.get(5)!], [[600, 1004]]);
    assert.deepEqual([...delivered.get(3)!], [[40, 42]]);
  });

  it("owes an epoch that begins later from its first frame", () => {
    const { order, losses, asked } = rig();
    order.accept(CHANNEL, batchBytes(5, 1000, 4), true, 0);
    order.accept(CHANNEL, batchBytes(6, 8, 2), true, 0);
    order.accept(CHANNEL, batchBytes(9, 4, 2), false, 0);
    order.tick(300);
    assert.deepEqual(asked, [
      [6, 0, 8],
      [9, 0, 4],
    ]);
    order.tick(60_000);
    assert.deepEqual(losses, ["6:0-8@hub", "9:0-4@hub"]);
  });

  it("lets the farthest batches go when it holds too much, and asks for them when it is their turn", () => {
    const size = batchBytes(1, 100, 4).length;
    const { order, asked, delivered } = rig({ holdBytes: size * 3 });
    order.accept(CHANNEL, batchBytes(1, 0, 4), true, 0);
    for (let seq = 100; seq < 140; seq += 4) order.accept(CHANNEL, batchBytes(1, seq, 4), true, 0);
    assert.ok(order.heldBytes <= size * 3);
    for (let seq = 4; seq < 100; seq += 4) order.accept(CHANNEL, batchBytes(1, seq, 4), false, 0);
    assert.equal(delivered.get(1)!.end, 112);
    order.accept(CHANNEL, batchBytes(1, 140, 4), true, 0);
    order.tick(300);
    assert.deepEqual(asked, [[1, 112, 140]]);
    assert.equal(order.heldBytes, size);
  });

  it("delivers or states everything once and in order, whatever is lost, repeated or late", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), (seed) => {
        const world = new World(seed);
        world.run();
        world.check();
      }),
      { numRuns: 300 },
    );
  });
});

/** An edge, a network that does what it likes, and the order at the end of it. */
class World {
  readonly #random: () => number;
  readonly #rig = rig({ holdBytes: 2_000, giveUpMs: 3_000 });
  readonly #network: { atMs: number; run: () => void }[] = [];
  readonly #produced = new Map<number, [seq: number, count: number][]>();
  #nowMs = 0;
  #askedBefore = 0;

  constructor(seed: number) {
    let state = seed;
    this.#random = () => {
      state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647;
      return state / 2_147_483_647;
    };
  }

  #send(payload: Uint8Array, isLive: boolean, lossRate: number): void {
    const { order } = this.#rig;
    for (let copies = this.#random() < 0.2 ? 2 : 1; copies > 0; copies--) {
      if (this.#random() < lossRate) continue;
      const atMs = this.#nowMs + this.#random() * 400;
      this.#network.push({ atMs, run: () => order.accept(CHANNEL, payload, isLive, this.#nowMs) });
    }
  }

  run(): void {
    const { order } = this.#rig;
    order.accept(CHANNEL, batchBytes(1, 0, 1), true, 0);
    this.#produced.set(1, [[0, 1]]);
    for (const epoch of [1, 2, 3]) this.#epoch(epoch);
    // The last batches of all epochs arrive, so that every gap shows.
    for (const [epoch, batches] of this.#produced) {
      const [seq, count] = batches.at(-1)!;
      this.#network.push({
        atMs: this.#nowMs,
        run: () => order.accept(CHANNEL, batchBytes(epoch, seq, count), false, this.#nowMs),
      });
    }
    for (let i = 0; i < 400; i++) this.#step(1_000);
  }

  #epoch(epoch: number): void {
    const batches = this.#produced.get(epoch) ?? [];
    this.#produced.set(epoch, batches);
    for (let i = 0; i < 40; i++) {
      const before = batches.at(-1) ?? [0, 0];
      const seq = before[0] + before[1];
      const count = 1 + Math.floor(this.#random() * 5);
      batches.push([seq, count]);
      this.#send(batchBytes(epoch, seq, count), true, 0.3);
      this.#step(50);
    }
  }

  #step(ms: number): void {
    this.#nowMs += ms;
    this.#network.sort((a, b) => a.atMs - b.atMs);
    while (this.#network[0] && this.#network[0].atMs <= this.#nowMs) this.#network.shift()!.run();
    this.#rig.order.tick(this.#nowMs);
    const { asked, order } = this.#rig;
    for (const [epoch, from, to] of asked.slice(this.#askedBefore)) {
      if (this.#random() < 0.1) {
        order.gone(CHANNEL, { epoch, from, to, place: "spool" }, this.#nowMs);
        continue;
      }
      for (const [seq, count] of this.#produced.get(epoch)!) {
        if (seq < to && seq + count > from) this.#send(batchBytes(epoch, seq, count), false, 0.4);
      }
    }
    this.#askedBefore = asked.length;
  }

  check(): void {
    const { delivered, lost, order } = this.#rig;
    for (const [epoch, batches] of this.#produced) {
      const [seq, count] = batches.at(-1)!;
      const all = new RangeSet([...(delivered.get(epoch) ?? []), ...(lost.get(epoch) ?? [])]);
      assert.deepEqual([...all], [[0, seq + count]], `epoch ${epoch}`);
    }
    assert.equal(order.heldBytes, 0);
  }
}
