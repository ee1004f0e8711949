import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../e2e/support/until.ts";
import { Rig, SOAK } from "./rig.ts";

const RATE = { batchesPerSecond: 100, framesPerBatch: 32 };

describe("faults of hubs with a hub above", () => {
  it("R33 one of two is killed: its edges go on at the other, and a subscriber above sees one fleet all along", async (t) => {
    const rig = await Rig.start(t, { below: 2 });
    const [first, second] = rig.belowUrls as [string, string];
    // Half of the fleet at each, as with sharding.
    await rig.startEdge("a", RATE, { hub: [first, second] });
    await rig.startEdge("b", RATE, { hub: [second, first] });
    const connects = (edge: string, url: string): boolean =>
      rig.edgeLog.some((line) => line.startsWith(`${edge}: `) && line.includes(`hub ${url} connected`));
    await until("each edge at its hub", () => connects("a", first) && connects("b", second));
    await until("frames of both above", () =>
      ["a", "b"].every((edge) => rig.ledger.epochs(`${edge}/load0`).length > 0),
    );
    await sleep(1_000 * SOAK);
    await rig.killOtherHub(0);
    await until("both at the second hub", () => connects("a", second));
    await sleep(1_000 * SOAK);
    const { lost } = await rig.settle("R33");
    assert.equal(lost, 0);
  });
});
