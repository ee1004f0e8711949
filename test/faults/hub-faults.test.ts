import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Rig, SOAK } from "./rig.ts";

/** What an edge may hold while a hub is away, bytes. */
const EDGE_MEMORY = 160 * 1024 * 1024;

describe("faults of the hub", () => {
  it("R06 the hub is killed at full load and comes back", async (t) => {
    const rig = await Rig.start(t);
    for (const name of ["a", "b", "c", "d"])
      await rig.startEdge(name, undefined, { ledger: { historyBytes: 32 << 20 } });
    await sleep(2_000 * SOAK);
    await rig.killHub();
    await sleep(1_000);
    await rig.startHub();
    await sleep(2_000 * SOAK);
    const { lost } = await rig.settle("R06");
    assert.equal(lost, 0);
    for (const edge of rig.edges) assert.ok((await rig.edgeMemory(edge)) < EDGE_MEMORY);
  });

  it("R07 the hub comes and goes", async (t) => {
    const rig = await Rig.start(t);
    for (const name of ["a", "b"]) await rig.startEdge(name, undefined, { ledger: { historyBytes: 48 << 20 } });
    // Times up and down, s.
    for (const [up, down] of [
      [2, 4],
      [1.5, 2],
      [1.5, 1],
    ] as const) {
      await sleep(up * 1_000);
      await rig.killHub();
      await sleep(down * 1_000);
      await rig.startHub();
    }
    await sleep(3_000 * SOAK);
    const { lost } = await rig.settle("R07");
    assert.equal(lost, 0);
  });

  it("R21 the hub and an edge are stopped for a while and go on", async (t) => {
    const rig = await Rig.start(t);
    const stopped = await rig.startEdge("a");
    await rig.startEdge("b", undefined, { ledger: { historyBytes: 32 << 20 } });
    await sleep(1_000);
    stopped.process.kill("SIGSTOP");
    await sleep(3_000);
    stopped.process.kill("SIGCONT");
    await sleep(1_000);
    rig.hub!.kill("SIGSTOP");
    await sleep(3_000 * SOAK);
    rig.hub!.kill("SIGCONT");
    await sleep(1_000);
    await rig.settle("R21");
  });
});
