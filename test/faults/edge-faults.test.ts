import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FULL_LOAD, Rig, SOAK } from "./rig.ts";

/**
 * What an edge that is killed may lose: what it had not closed, and what its process had not handed to the kernel, ms. On
 * a starved machine one turn of its event loop makes more than the 20 ms of a quiet one.
 */
const FLUSH_MS = 200;

describe("faults of an edge", () => {
  it("R10 an edge is killed again and again", async (t) => {
    const rig = await Rig.start(t);
    const edge = await rig.startEdge("a");
    await rig.startEdge("b");
    for (let life = 0; life < 5 * SOAK; life++) {
      await sleep(300 + Math.random() * 700);
      await rig.restartEdge(edge);
    }
    await sleep(1_000);
    const perKill = (FULL_LOAD.batchesPerSecond * FULL_LOAD.framesPerBatch * FLUSH_MS) / 1_000;
    const { produced } = await rig.settle("R10", perKill);
    assert.ok(produced > 0);
    assert.equal(new Set(rig.ledger.epochs("a/load0")).size, 5 * SOAK + 1);
  });
});
