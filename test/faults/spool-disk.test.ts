import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { HubConnection, MqttBus } from "@canfleet/sdk";
import { AckFilter } from "./ack-filter.ts";
import { failSyncs, noTracing } from "./failing-sync.ts";
import { Ledger } from "./ledger.ts";
import { Rig, type RunningEdge, SOAK } from "./rig.ts";
import { segmentsIn, spoolOf, until, withSpool } from "./spool-rig.ts";

/** Slow enough that a live subscriber on a starved machine misses nothing at the hub. */
const LOAD = { batchesPerSecond: 50, framesPerBatch: 32 };
const DISK_BYTES = 8 * 1024 * 1024;
/** What the filler leaves free: some segments. */
const FREE_BYTES = 256 * 1024;

interface SpoolStatus {
  state: string;
  reason: string;
  syncErrors: number;
}

/** A hub that is there and does not acknowledge when it is told so: its edge writes to disk while live frames flow. */
async function start(t: TestContext, folder?: string) {
  const rig = await Rig.start(t);
  const filter = await AckFilter.to(rig.port);
  t.after(() => filter.close());
  const live = new Ledger();
  const liveBus = await MqttBus.connect(rig.url, { edge: "a", bus: "load0" });
  t.after(() => liveBus.shutdown());
  liveBus.on("batch", (batch, { channel }) => live.delivered(batch, channel));
  liveBus.on("loss", (loss) => live.lost(loss));
  const status: { spool: SpoolStatus | undefined } = { spool: undefined };
  const connection = new HubConnection(rig.url, {
    onMessage: (_, payload) => {
      status.spool = (JSON.parse(Buffer.from(payload).toString()) as { spool?: SpoolStatus }).spool;
    },
  });
  t.after(() => connection.close());
  await connection.ready(60_000);
  await connection.subscribe(["canfleet/a/load0/status"], 0);
  const edge = await rig.startEdge("a", LOAD, withSpool(rig, filter, folder === undefined ? {} : { dir: folder }));
  await until("the hub acknowledges", () => filter.passed > 0);
  return { rig, filter, live, status, edge };
}

/** Waits until the edge has made so many more frames. */
async function makes(rig: Rig, edge: RunningEdge, frames: number): Promise<void> {
  const target = rig.produced(edge)[0]! + frames;
  await until(`${frames} more frames`, () => rig.produced(edge)[0]! >= target);
}

/** A live subscriber has had every frame of the edge's only life since its first one. */
function sawAll(rig: Rig, live: Ledger): void {
  const channel = "a/load0";
  const [epoch] = rig.ledger.epochs(channel);
  assert.deepEqual(rig.ledger.epochs(channel), [epoch], "the edge lives");
  const { delivered, lost } = live.numbers(channel, epoch!);
  assert.deepEqual([[...delivered].length, [...lost], live.unnumbered], [1, [], {}]);
}

/** A disk of its own. @returns undefined where none can be mounted */
function smallDisk(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-disk-"));
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "none", folder]);
  t.after(() => {
    // Lazily: what still uses it is ended by another hook.
    if (status === 0) spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  if (status === 0) return folder;
  t.skip(`no file system can be mounted: ${String(stderr).trim()}`);
  return undefined;
}

describe("a spool's disk", () => {
  it("R13 is full, and then has room again", async (t) => {
    const disk = smallDisk(t);
    if (disk === undefined) return;
    const filler = join(disk, "filler");
    assert.throws(() => writeFileSync(filler, Buffer.alloc(DISK_BYTES + 1)), { code: "ENOSPC" });
    truncateSync(filler, DISK_BYTES - FREE_BYTES);
    const { rig, filter, live, status, edge } = await start(t, join(disk, "spool"));
    filter.isDropping = true;
    await until("the status says so", () => status.spool?.state === "failed");
    assert.match(status.spool!.reason, /ENOSPC/);
    await makes(rig, edge, 2_000 * SOAK);
    rmSync(filler);
    const freedMs = performance.now();
    await until("it works again", () => status.spool?.state === "ok");
    console.log(`R13 works again after ${Math.round(performance.now() - freedMs)} ms`);
    await makes(rig, edge, 1_000);
    filter.isDropping = false;
    const { lost } = await rig.settle("R13");
    assert.equal(lost, 0);
    sawAll(rig, live);
    await until("nothing is left on disk", () => segmentsIn(join(disk, "spool")).length === 0);
  });

  it("R12 fails to sync: counted, and the relay goes on", async (t) => {
    const reason = noTracing();
    if (reason !== undefined) {
      t.skip(reason);
      return;
    }
    const { rig, filter, live, status, edge } = await start(t);
    filter.isDropping = true;
    const heal = await failSyncs(edge.process);
    await until("failed syncs are counted", () => (status.spool?.syncErrors ?? 0) >= 2);
    assert.equal(status.spool?.state, "ok", "what was written can be read");
    assert.equal(rig.edgeLog.filter((line) => line.includes("EIO")).length, 1, "said once");
    await heal();
    await makes(rig, edge, 1_000);
    filter.isDropping = false;
    const { lost } = await rig.settle("R12-EIO");
    assert.equal(lost, 0);
    sawAll(rig, live);
    await until("nothing is left on disk", () => segmentsIn(spoolOf(rig)).length === 0);
  });
});
