import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { HubConnection, parseTopic, RangeSet, readBatchHeader } from "@canfleet/sdk";
import { damage, type DamagedBytes } from "./damage.ts";
import type { Gate } from "./gate.ts";
import { type Rig, type RunningEdge, SOAK } from "./rig.ts";
import { readSegments, segments, spoolOf, start, until, withSpool, type WrittenBatch } from "./spool-rig.ts";
import type { SyncedFile } from "./sync-record.ts";

const LOAD = { batchesPerSecond: 60, framesPerBatch: 32 };
const SEGMENTS = 4;
/** Edges of one round, each with a spool of its own and damage of its own. */
const ROUND = 6;
const SEEDS = SOAK > 1 ? 200 : ROUND;
const CUTS = SOAK > 1 ? 24 : 4;
/** Frames that a power cut may cost at most: those of a second, and what a machine in trouble makes of it. */
const CUT_FRAMES = 10 * LOAD.batchesPerSecond * LOAD.framesPerBatch;

interface Spooled {
  edge: RunningEdge;
  seed: number;
  epoch: number;
  written: WrittenBatch[];
  /** What was done to the files. */
  what: string;
  damaged: DamagedBytes[];
}

/** Edges whose hub is away, until each has some segments. They are stopped. */
async function fillSpools(t: TestContext, seeds: number[]): Promise<{ rig: Rig; gate: Gate; spools: Spooled[] }> {
  const { rig, gate } = await start(t);
  const startOne = async (seed: number): Promise<Spooled> => {
    const name = `seed-${seed}`;
    const edge = await rig.startEdge(name, LOAD, withSpool(rig, gate, {}, name), { syncFile: syncFileOf(rig, name) });
    return { edge, seed, epoch: 0, written: [], what: "", damaged: [] };
  };
  const spools = await Promise.all(seeds.map(startOne));
  const isHeard = ({ edge }: Spooled): boolean => rig.ledger.epochs(channelOf(edge)).length === 1;
  await until("every edge is heard", () => spools.every(isHeard));
  gate.shut();
  await until("every edge has segments", () => spools.every(({ edge }) => segments(rig, edge.name).length >= SEGMENTS));
  return { rig, gate, spools };
}

function syncFileOf(rig: Rig, name: string): string {
  return join(rig.folder, `${name}-syncs`);
}

/** How much of each file of an edge is safely on disk, bytes. */
function synced(rig: Rig, { edge }: Spooled): Map<string, number> {
  const lines = readFileSync(syncFileOf(rig, edge.name), "utf8").split("\n").slice(0, -1);
  return new Map(lines.map((line) => JSON.parse(line) as SyncedFile));
}

/** Leaves of each segment what was synced, and in every second spool, behind it, bytes by chance. */
function cutPower(rig: Rig, spooled: Spooled): DamagedBytes[] {
  const folder = spoolOf(rig, spooled.edge.name);
  const safe = synced(rig, spooled);
  return segments(rig, spooled.edge.name).flatMap((file) => {
    const path = join(folder, file);
    const bytes = safe.get(file) ?? 0;
    const { size } = statSync(path);
    truncateSync(path, bytes);
    if (spooled.seed % 2 === 1) appendFileSync(path, randomBytes(size - bytes));
    // A file of which nothing was synced need not be there at all.
    else if (bytes === 0) rmSync(path);
    return bytes < size ? [{ file, from: bytes, to: size }] : [];
  });
}

function channelOf({ name }: RunningEdge): string {
  return `${name}/load0`;
}

/** Remembers what a stopped edge has written. */
function remember(rig: Rig, spooled: Spooled): void {
  spooled.epoch = rig.ledger.epochs(channelOf(spooled.edge))[0]!;
  spooled.written = readSegments(spoolOf(rig, spooled.edge.name));
  assert.ok(spooled.written.every(({ epoch }) => epoch === spooled.epoch));
}

/** Compares the bytes of every batch that comes as backfill with what was written under its number. */
async function compareReplay(t: TestContext, rig: Rig, spools: Spooled[]): Promise<{ same: number; other: string[] }> {
  const result = { same: 0, other: [] as string[] };
  const written = new Map<string, Buffer>();
  for (const { edge, epoch, written: batches } of spools) {
    for (const { seq, payload } of batches) written.set(`${edge.name} ${epoch} ${seq}`, payload);
  }
  const ofFirstLife = new Map(spools.map(({ edge, epoch }) => [edge.name, epoch]));
  const connection = new HubConnection(rig.url, {
    onMessage: (topic, payload) => {
      const { epoch, seq } = readBatchHeader(payload);
      const name = parseTopic("canfleet", topic)!.edge;
      if (ofFirstLife.get(name) !== epoch) return;
      if (written.get(`${name} ${epoch} ${seq}`)?.equals(payload)) result.same++;
      else result.other.push(`${name} ${epoch} ${seq}`);
    },
  });
  t.after(() => connection.close());
  await connection.ready(60_000);
  await connection.subscribe(["canfleet/+/+/backfill"], 0);
  return result;
}

/** Starts the edges on what is left of their spools, and waits until all of it is accounted for. */
async function replay(t: TestContext, id: string, { rig, gate, spools }: Awaited<ReturnType<typeof fillSpools>>) {
  const replayed = await compareReplay(t, rig, spools);
  await Promise.all(spools.map(({ edge }) => rig.startAgain(edge)));
  await gate.open();
  await until("nothing is left on disk", () => spools.every(({ edge }) => segments(rig, edge.name).length === 0));
  await rig.settle(id, Infinity);
  assert.deepEqual(replayed.other, [], "every batch that was replayed is one that was written");
  assert.ok(replayed.same > 0);
  return replayed.same;
}

/** Judges one edge: what is whole was delivered, what is not is stated as lost, or, at the end, as unknown. */
function judge(rig: Rig, { edge, epoch, written, damaged, what }: Spooled): { missing: number } {
  const channel = channelOf(edge);
  const { delivered, lost } = rig.ledger.numbers(channel, epoch);
  const isHit = ({ file, from, to }: WrittenBatch): boolean =>
    damaged.some((bytes) => bytes.file === file && bytes.from < to && from < bytes.to);
  for (const batch of written) {
    const { seq, end } = batch;
    const said = (): string => `delivered ${JSON.stringify([...delivered])}, lost ${JSON.stringify([...lost])}`;
    if (!isHit(batch))
      assert.ok(delivered.has(seq, end), `${what}: ${seq}-${end} is whole and not delivered; ${said()}`);
  }
  const told = new RangeSet([...delivered, ...lost]);
  const produced = rig.produced(edge)[0]!;
  assert.deepEqual([...told].slice(1), [], `${what}: no hole that is not stated`);
  assert.equal(told.first, delivered.first);
  for (const [from, to] of lost) assert.deepEqual(delivered.within(from, to), [], `${what}: lost and delivered`);
  const isUnknown = rig.ledger.unknown.has(`${channel} spool`);
  if (told.end < produced)
    assert.ok(isUnknown, `${what}: behind ${told.end} of ${produced} it says that it does not know`);
  return { missing: produced - told.end + lost.count };
}

describe("a damaged spool", () => {
  for (let first = 0; first < SEEDS; first += ROUND) {
    it(`R11 is torn, flipped, zeroed, swapped: seeds ${first} to ${first + ROUND - 1}`, async (t) => {
      const filled = await fillSpools(
        t,
        Array.from({ length: ROUND }, (_, i) => first + i),
      );
      const { rig, spools } = filled;
      await Promise.all(spools.map(({ edge, seed }) => rig.stopEdge(edge, seed % 2 === 0 ? "SIGTERM" : "SIGKILL")));
      for (const spooled of spools) {
        remember(rig, spooled);
        Object.assign(spooled, damage(spoolOf(rig, spooled.edge.name), spooled.seed));
      }
      const same = await replay(t, "R11", filled);
      for (const spooled of spools) {
        console.log(`R11 ${judge(rig, spooled).missing} missing: ${spooled.what}`);
      }
      console.log(`R11 ${same} batches replayed, all as written`);
    });
  }

  for (let first = 0; first < CUTS; first += 4) {
    it(`R12 loses what was not synced when the power fails: seeds ${first} to ${first + 3}`, async (t) => {
      const filled = await fillSpools(
        t,
        Array.from({ length: 4 }, (_, i) => first + i),
      );
      const { rig, spools } = filled;
      await until("some syncs", () => spools.every((spooled) => synced(rig, spooled).size >= SEGMENTS - 1));
      await Promise.all(spools.map(({ edge }) => rig.stopEdge(edge)));
      for (const spooled of spools) {
        remember(rig, spooled);
        spooled.damaged = cutPower(rig, spooled);
        spooled.what = `power cut ${spooled.seed}`;
      }
      await replay(t, "R12", filled);
      for (const spooled of spools) {
        const { missing } = judge(rig, spooled);
        const ms = Math.round((missing * 1_000) / (LOAD.batchesPerSecond * LOAD.framesPerBatch));
        console.log(`R12 ${missing} frames missing, ${ms} ms`);
        assert.ok(missing <= CUT_FRAMES, `${missing} frames missing`);
      }
    });
  }
});
