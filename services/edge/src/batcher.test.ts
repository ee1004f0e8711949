import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeBatch, ERR_FLAG, FrameBatch, parseFilters, type Losses } from "@canfleet/sdk";
import { Batcher } from "./batcher.ts";

const LIMITS = { maxFrames: 4, maxBytes: 1024, maxAgeMs: 1000 };

function numbered(seq: number, timesUs: number[], lost?: Losses): FrameBatch {
  const batch = FrameBatch.of(
    ...timesUs.map((timestampUs, i) => ({ idWord: 0x100 + i, data: Uint8Array.of(i), timestampUs })),
  );
  batch.epoch = 7;
  batch.seq = seq;
  batch.lost = lost;
  return batch;
}

/** A batcher, what it closed, and what the next batch is to state. */
function rig(limits = LIMITS) {
  const taken: FrameBatch[] = [];
  const next: { lost: Losses } = { lost: {} };
  const batcher = new Batcher(limits, {
    state: () => {
      const { lost } = next;
      next.lost = {};
      return { notes: {}, lost };
    },
    add: (payload, seq, count) => {
      const batch = decodeBatch(payload);
      assert.deepEqual([batch.seq, batch.count], [seq, count]);
      taken.push(batch);
    },
  });
  return { batcher, taken, next };
}

describe("Batcher", () => {
  it("closes a batch at the frame limit and numbers go on without a hole", () => {
    const { batcher, taken } = rig();
    batcher.add(numbered(0, [10, 20, 30]));
    batcher.add(numbered(3, [40, 50, 60, 70, 80, 90]));
    batcher.flush();
    assert.deepEqual(
      taken.map(({ seq, count }) => [seq, count]),
      [
        [0, 4],
        [4, 4],
        [8, 1],
      ],
    );
    assert.deepEqual([...taken[1]!.timestampUs], [50, 60, 70, 80]);
  });

  it("sends a batch at once when an urgent frame is in it, error frames apart", () => {
    const { batcher, taken } = rig({ maxFrames: 100, maxBytes: 1024, maxAgeMs: 60_000 });
    batcher.setUrgent(parseFilters("101"));
    batcher.add(numbered(0, [10]));
    const error = FrameBatch.of({ idWord: ERR_FLAG | 0x101, timestampUs: 15 });
    Object.assign(error, { epoch: 7, seq: 1 });
    batcher.add(error);
    assert.equal(taken.length, 0);
    batcher.add(numbered(2, [20, 30, 40]));
    assert.deepEqual(
      taken.map(({ seq, count }) => [seq, count]),
      [[0, 5]],
    );
    batcher.setUrgent([]);
    batcher.add(numbered(5, [50, 60]));
    assert.equal(taken.length, 1);
    batcher.flush();
  });

  it("closes a batch at the byte limit", () => {
    const { batcher, taken } = rig({ maxFrames: 100, maxBytes: 64, maxAgeMs: 1000 });
    const batch = new FrameBatch(12);
    for (let i = 0; i < 12; i++) batch.push({ idWord: i, data: new Uint8Array(8), timestampUs: i });
    batch.seq = 0;
    batcher.add(batch);
    batcher.flush();
    assert.deepEqual(
      taken.map(({ count }) => count),
      [8, 4],
    );
  });

  it("closes a batch when time goes backwards, between batches and inside one", () => {
    const { batcher, taken } = rig();
    batcher.add(numbered(0, [100, 50]));
    batcher.add(numbered(2, [40]));
    batcher.flush();
    assert.deepEqual(
      taken.map(({ seq, timestampUs }) => [seq, timestampUs[0]]),
      [
        [0, 100],
        [1, 50],
        [2, 40],
      ],
    );
  });

  it("closes a batch when a step does not fit its column", () => {
    const { batcher, taken } = rig();
    batcher.add(numbered(0, [0, 2 ** 32]));
    batcher.flush();
    assert.deepEqual(
      taken.map(({ count }) => count),
      [1, 1],
    );
  });

  it("sends what it has when the first frame has waited long enough", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { batcher, taken } = rig();
    batcher.add(numbered(0, [1]));
    context.mock.timers.tick(999);
    assert.equal(taken.length, 0);
    context.mock.timers.tick(1);
    assert.equal(taken.length, 1);
  });

  it("tells for how long its oldest frame has waited", () => {
    const { batcher } = rig();
    assert.equal(batcher.waitingMs(performance.now() + 20_000), 0);
    batcher.add(numbered(0, [10]));
    const waitingMs = batcher.waitingMs(performance.now() + 20_000);
    assert.ok(waitingMs >= 20_000 && waitingMs < 80_000, `${waitingMs}`);
    batcher.flush();
    assert.equal(batcher.waitingMs(performance.now() + 20_000), 0);
  });

  it("states what its taker has lost, beside what the kernel lost", () => {
    const { batcher, taken, next } = rig();
    batcher.add(numbered(0, [1, 2, 3, 4]));
    next.lost = { edge: 8 };
    batcher.add(numbered(12, [13, 14, 15, 16], { kernel: 2 }));
    batcher.add(numbered(16, [17, 18, 19, 20]));
    assert.deepEqual(
      taken.map(({ lost }) => lost),
      [undefined, { kernel: 2, edge: 8 }, undefined],
    );
  });

  it("begins a new batch where the kernel lost frames, and says so there", () => {
    const { batcher, taken } = rig();
    batcher.add(numbered(0, [1]));
    batcher.add(numbered(1, [2], { kernel: 5 }));
    batcher.flush();
    assert.deepEqual(
      taken.map(({ lost }) => lost),
      [undefined, { kernel: 5 }],
    );
  });

  it("keeps an unknown loss unknown", () => {
    const { batcher, taken, next } = rig();
    next.lost = { kernel: 3 };
    batcher.add(numbered(0, [1], { kernel: null }));
    batcher.flush();
    assert.deepEqual(taken[0]!.lost, { kernel: null });
  });
});
