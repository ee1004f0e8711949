import assert from "node:assert/strict";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SOAK } from "./rig.ts";
import {
  KILL_SLACK,
  LOAD,
  SEGMENT_BYTES,
  segments,
  spoolBytes,
  spoolOf,
  start,
  until,
  withSpool,
} from "./spool-rig.ts";

/** What may be on its way to a hub that acknowledges at a busy machine's pace, frames. */
const UNACKNOWLEDGED = 32 * 200;

describe("faults and the spool", () => {
  for (const policy of ["drop-oldest", "drop-newest"] as const) {
    it(`R09 the spool is full: ${policy}`, async (t) => {
      const { rig, gate } = await start(t);
      const maxBytes = 6 * SEGMENT_BYTES;
      const edge = await rig.startEdge("a", LOAD, withSpool(rig, gate, { maxBytes, policy }));
      await sleep(500);
      gate.shut();
      let peak = 0;
      for (const endMs = performance.now() + 6_000 * SOAK; performance.now() < endMs;) {
        peak = Math.max(peak, spoolBytes(rig));
        await sleep(20);
      }
      await gate.open();
      const { lost } = await rig.settle("R09");
      assert.ok(lost > 0, "more was made than fits");
      assert.ok(peak <= maxBytes + SEGMENT_BYTES, `${peak} bytes on disk`);
      assert.deepEqual(Object.keys(rig.ledger.numbered), ["spool"], "each loss says where");
      const counted = (await rig.edgeLosses(edge)).spool ?? 0;
      // What arrived just before the cut was not acknowledged any more, and counts as lost too.
      assert.ok(counted >= lost && counted <= lost + UNACKNOWLEDGED, `counted ${counted}, lost ${lost}`);
      await until("nothing is left on disk", () => segments(rig).length === 0);
    });
  }

  it("R08 the hub is away for long", async (t) => {
    const { rig, gate } = await start(t);
    await rig.startEdge("a", LOAD, withSpool(rig, gate));
    await sleep(500);
    assert.deepEqual(segments(rig), [], "nothing is written while the hub acknowledges");
    gate.shut();
    await sleep(8_000 * SOAK);
    await gate.open();
    const { lost } = await rig.settle("R08");
    assert.equal(lost, 0);
    await until("nothing is left on disk", () => segments(rig).length === 0);
  });

  it("R10 an edge is killed again and again while the hub is away", async (t) => {
    const { rig, gate } = await start(t);
    const edge = await rig.startEdge("a", LOAD, withSpool(rig, gate));
    await sleep(500);
    gate.shut();
    const lives = 3 * SOAK;
    for (let life = 0; life < lives; life++) {
      await sleep(600 + Math.random() * 800);
      await rig.restartEdge(edge);
    }
    await sleep(500);
    await gate.open();
    const { lost } = await rig.settle("R10", KILL_SLACK);
    assert.equal(lost, 0);
    assert.equal(rig.ledger.epochs("a/load0").length, lives + 1);
    await until("nothing is left on disk", () => segments(rig).length === 0);
  });

  it("R10 an edge is ended while the hub is away, and nothing is missing", async (t) => {
    const { rig, gate } = await start(t);
    const edge = await rig.startEdge("a", LOAD, withSpool(rig, gate));
    await sleep(500);
    gate.shut();
    await sleep(1_000);
    await rig.endEdge(edge);
    await sleep(500);
    await gate.open();
    const { lost } = await rig.settle("R10-TERM");
    assert.equal(lost, 0);
  });

  it("R10 what a full spool dropped of an earlier life is told by the next one", async (t) => {
    const { rig, gate } = await start(t);
    const edge = await rig.startEdge("a", LOAD, withSpool(rig, gate, { maxBytes: 6 * SEGMENT_BYTES }));
    await sleep(500);
    gate.shut();
    await sleep(4_000 * SOAK);
    await rig.restartEdge(edge);
    await sleep(500);
    await gate.open();
    const { lost } = await rig.settle("R10-FULL", KILL_SLACK);
    assert.ok(lost > 0);
    assert.deepEqual(Object.keys(rig.ledger.numbered), ["spool"]);
  });

  it("R14 the folder cannot be used at the start, and later can", async (t) => {
    const { rig, gate } = await start(t);
    writeFileSync(spoolOf(rig), "a file, not a folder");
    await rig.startEdge("a", LOAD, withSpool(rig, gate));
    const said = (text: string): string[] => rig.edgeLog.filter((line) => line.includes(text));
    await until("it says so", () => said("batches stay in memory").length > 0);
    await sleep(2_500);
    assert.equal(said("batches stay in memory").length, 1, "once");
    rmSync(spoolOf(rig));
    await until("it works again", () => said("works again").length > 0);
    gate.shut();
    await sleep(1_500);
    await gate.open();
    const { lost } = await rig.settle("R14");
    assert.equal(lost, 0);
  });

  it("R14 the folder goes away while it is used", async (t) => {
    const { rig, gate } = await start(t);
    await rig.startEdge("a", LOAD, withSpool(rig, gate));
    await sleep(500);
    gate.shut();
    await sleep(1_500);
    // Renamed, since an edge that writes would make new files in a folder that is being emptied.
    renameSync(spoolOf(rig), join(rig.folder, "elsewhere"));
    writeFileSync(spoolOf(rig), "a file, not a folder");
    await until("it says so", () => rig.edgeLog.some((line) => line.includes("batches stay in memory")));
    rmSync(spoolOf(rig));
    await until("it works again", () => rig.edgeLog.some((line) => line.includes("works again")));
    await gate.open();
    const { lost } = await rig.settle("R14-GONE");
    assert.ok(lost > 0);
    assert.deepEqual(Object.keys(rig.ledger.numbered), ["spool"]);
  });
});
