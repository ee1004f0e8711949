import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Rig } from "./rig.ts";

/** Batches of 32 frames: a load at which the machine of a test is far from its limit. */
const RATE = { batchesPerSecond: 100, framesPerBatch: 32 };
const UPGRADES = 2;

it("R40 a hub is replaced by a new one, again and again, and a complete subscriber misses nothing", async (t) => {
  const rig = await Rig.start(t);
  const edges = ["a", "b"];
  for (const name of edges) await rig.startEdge(name, RATE, { ledger: { historyBytes: 32 << 20 } });
  for (let upgrade = 1; upgrade <= UPGRADES; upgrade++) {
    // Something new has come to the subscriber of each edge: all of them are with this hub.
    const before = edges.map((name) => deliveredOf(rig, name));
    while (!edges.every((name, i) => deliveredOf(rig, name) > before[i]!)) await sleep(20);
    assert.equal(await rig.replaceHub(), 0, "a hub that is asked to end ends well");
  }
  const { lost } = await rig.settle("R40");
  assert.equal(lost, 0);
});

function deliveredOf({ ledger }: Rig, name: string): number {
  const [epoch = 0] = ledger.epochs(`${name}/load0`);
  return ledger.account(`${name}/load0`, epoch, Number.MAX_SAFE_INTEGER).delivered;
}
