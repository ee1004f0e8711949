import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { RangeSet } from "@canfleet/sdk";
import type { BusSpool } from "./bus-spool.ts";
import type { SpoolOptions } from "./spool.ts";
import { smallSpool } from "./spool.suite.ts";

const EPOCH = 77;
const PER_BATCH = 4;
const PAYLOAD_BYTES = 2_000;

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-spool-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A payload whose bytes tell its number. */
function payloadOf(seq: number): Uint8Array {
  return Uint8Array.from({ length: PAYLOAD_BYTES }, (_, i) => (seq * 31 + i * 7) & 0xff);
}

function open(folder: string, options: Partial<SpoolOptions> = {}) {
  const lost = new RangeSet();
  const repeated = new RangeSet();
  const spool = smallSpool(folder, options);
  const unknown = { times: 0 };
  const bus = spool.addBus("can0", {
    dropped: ({ from, to }, isNews) => (isNews ? lost : repeated).add(from, to),
    droppedUnknown: () => unknown.times++,
  });
  spool.start();
  return { spool, bus, lost, repeated, unknown };
}

function append(bus: BusSpool, from: number, batches: number): boolean[] {
  return Array.from({ length: batches }, (_, i) => {
    const seq = (from + i) * PER_BATCH;
    return bus.append({ epoch: EPOCH, seq, end: seq + PER_BATCH, payload: payloadOf(seq) });
  });
}

async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 30_000; !isSo();) {
    assert.ok(performance.now() < endMs);
    await sleep(5);
  }
}

/** Reads all there is; each payload must be one that was written under its number. */
async function readAll(bus: BusSpool): Promise<RangeSet> {
  const read = new RangeSet();
  for (let at = 0; ;) {
    const seq = bus.within(EPOCH, at, Infinity)[0]?.[0];
    if (seq === undefined) return read;
    const batch = bus.read(EPOCH, seq);
    if (batch === "later") await sleep(1);
    else if (batch) {
      assert.equal(Buffer.compare(batch.payload, payloadOf(batch.seq)), 0);
      read.add(batch.seq, batch.end);
      at = batch.end;
    }
  }
}

function segments(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".spool"))
    .sort();
}

describe("Spool", () => {
  it("gives back in the next life what it took, and deletes what was taken", async (t) => {
    const folder = folderFor(t);
    const first = open(folder);
    append(first.bus, 0, 50);
    first.bus.isComplete = true;
    await first.spool.close();
    assert.ok(segments(folder).length > 3);
    const second = open(folder);
    await until(() => second.bus.epochs().includes(EPOCH));
    assert.deepEqual([...(await readAll(second.bus))], [[0, 200]]);
    second.bus.settled(EPOCH, new RangeSet([[0, 200]]));
    await until(() => segments(folder).length === 0);
    await second.spool.close();
    assert.deepEqual(readdirSync(folder), [], "the lock too");
    assert.deepEqual([[...second.lost], [...second.repeated]], [[], []]);
    assert.equal(second.unknown.times, 0, "the first life ended in order");
  });

  it("drops the oldest segment at its limit, says what was in it, and says it again in its next life", async (t) => {
    const folder = folderFor(t);
    const { spool, bus, lost } = open(folder, { maxBytes: 60_000 });
    for (let i = 0; i < 100; i += 5) {
      append(bus, i, 5);
      await until(() => bus.queued.length === 0);
    }
    assert.ok(spool.bytes <= 60_000 + 20_000);
    const [[from, to] = [0, 0]] = [...lost];
    assert.equal(from, 0);
    assert.deepEqual(bus.within(EPOCH, 0, Infinity), [[to, 400]], "the newest part is whole");
    await spool.close();
    const next = open(folder);
    await until(() => next.bus.epochs().includes(EPOCH));
    assert.deepEqual([[...next.repeated], [...next.lost]], [[[0, to]], []]);
    await next.spool.close();
  });

  it("takes no more at its limit under drop-newest, and goes on once something was taken", async (t) => {
    const folder = folderFor(t);
    const { spool, bus, lost } = open(folder, { maxBytes: 60_000, policy: "drop-newest" });
    await until(() => spool.state === "ok");
    const taken = append(bus, 0, 100).filter(Boolean).length;
    assert.ok(taken > 20 && taken < 30, `${taken} batches`);
    await until(() => bus.queued.length === 0);
    assert.equal(append(bus, 100, 1)[0], false);
    bus.settled(EPOCH, new RangeSet([[0, taken * PER_BATCH]]));
    await until(() => spool.bytes === 0);
    assert.equal(append(bus, 101, 1)[0], true);
    assert.deepEqual([...lost], []);
    await spool.close();
  });

  it("keeps two edges from using one folder", async (t) => {
    const folder = folderFor(t);
    const lines: string[] = [];
    const first = open(folder);
    await until(() => existsSync(join(folder, "lock")));
    const second = open(folder, { log: (text) => lines.push(text) });
    await until(() => second.spool.state === "failed");
    assert.match(lines[0]!, /used by another edge/);
    await second.spool.close();
    await first.spool.close();
  });

  it("gives back nothing but what was written, however its files are damaged, and states what is missing between", async (t) => {
    const folder = folderFor(t);
    for (let seed = 1; seed <= 40; seed++) {
      rmSync(folder, { recursive: true });
      const writer = open(folder);
      append(writer.bus, 0, 60);
      writer.bus.isComplete = true;
      await writer.spool.close();
      damage(folder, seed);
      const reader = open(folder);
      await until(() => reader.spool.isRecovered);
      const read = await readAll(reader.bus);
      await reader.spool.close();
      const accounted = new RangeSet([...read, ...reader.lost]);
      const isWhole = accounted.has(0, 60 * PER_BATCH);
      assert.ok(isWhole || reader.unknown.times === 1, `seed ${seed}: ${JSON.stringify([...accounted])}`);
      assert.ok(accounted.rangeCount <= 1, `seed ${seed}: ${JSON.stringify([...accounted])}`);
      for (const [from, to] of reader.lost) assert.deepEqual(read.within(from, to), [], `seed ${seed}: never both`);
    }
  });
});

/** One of five kinds of damage, to a segment by chance. */
function damage(folder: string, seed: number): void {
  let state = seed * 7_919;
  const random = (below: number): number => {
    state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647;
    return state % below;
  };
  const files = segments(folder).map((file) => join(folder, file));
  const file = files[random(files.length)]!;
  const bytes = readFileSync(file);
  const at = random(bytes.length);
  if (seed % 4 === 0) writeFileSync(file, bytes.subarray(0, at));
  else if (seed % 4 === 1) for (let i = 0; i <= random(8); i++) bytes[random(bytes.length)]! ^= 1 << random(8);
  else if (seed % 4 === 2) bytes.fill(0, at, at + 4_096);
  if (seed % 4 === 1 || seed % 4 === 2) writeFileSync(file, bytes);
  if (seed % 4 === 3) {
    const other = files[random(files.length)]!;
    const otherBytes = readFileSync(other);
    writeFileSync(other, bytes);
    writeFileSync(file, otherBytes);
  }
}
