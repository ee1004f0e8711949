import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../e2e/support/until.ts";
import { Rig, SOAK } from "./rig.ts";

const RATE = { batchesPerSecond: 100, framesPerBatch: 32 };

describe("faults of one of several hubs", () => {
  it("R30 the hub that all use is killed, and they go on at the other one, and stay", async (t) => {
    const rig = await Rig.start(t, { hubs: 2 });
    const names = ["a", "b", "c"];
    for (const name of names) await rig.startEdge(name, RATE);
    const [first, second] = rig.urls;
    const connects = (url: string): number =>
      rig.edgeLog.filter((line) => line.includes(`hub ${url} connected`)).length;
    await until("all edges at the first hub", () => connects(first!) === names.length);
    await sleep(1_000 * SOAK);
    const killedAtMs = performance.now();
    await rig.killHub();
    await until("all edges at the second hub", () => connects(second!) === names.length);
    const tookMs = Math.round(performance.now() - killedAtMs);
    await rig.startHub();
    await sleep(2_000 * SOAK);
    const { lost } = await rig.settle("R30");
    console.log(`R30 ${names.length} edges at the second hub after ${tookMs} ms`);
    assert.equal(lost, 0);
    assert.deepEqual([connects(first!), connects(second!)], [names.length, names.length], "nobody went back");
  });
});
