import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../e2e/support/until.ts";
import type { FleetReport } from "./fleet-process.ts";
import { ask, Rig, SOAK } from "./rig.ts";

const EDGES = 50;
/** No two connects of a fleet may be needed at once: the least time over which they spread, ms. Jitter makes it seconds. */
const LEAST_SPREAD_MS = 300;

describe("faults of a fleet", () => {
  it("R15 the hub of 50 edges comes back, and they do not return in one instant", async (t) => {
    const rig = await Rig.start(t);
    const fleet = await rig.startFleet(EDGES, { batchesPerSecond: 4, framesPerBatch: 8 });
    const connects = async (): Promise<number[]> => ((await ask(fleet)) as FleetReport).connectsMs;
    await until("all edges", async () => (await connects()).length === EDGES);
    await sleep(1_000 * SOAK);
    await rig.killHub();
    await sleep(3_000);
    await rig.startHub();
    await until("all edges again", async () => (await connects()).length === 2 * EDGES);
    const again = (await connects()).slice(EDGES);
    const spreadMs = Math.round(again.at(-1)! - again[0]!);
    await sleep(1_000);
    const { lost } = await rig.settle("R15");
    console.log(`R15 ${EDGES} edges returned within ${spreadMs} ms`);
    assert.equal(lost, 0);
    assert.ok(spreadMs > LEAST_SPREAD_MS, `${spreadMs} ms`);
  });
});
