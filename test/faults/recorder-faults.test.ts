import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { parseLostLine } from "@canfleet/sdk";
import { canfleet, ownFolder } from "../e2e/support/canfleet.ts";
import { Program } from "../e2e/support/program.ts";
import { until } from "../e2e/support/until.ts";
import { Rig } from "./rig.ts";

const RATE = { batchesPerSecond: 60, framesPerBatch: 16 };
/** Frames that are made while the hub is away: some 100 KiB. */
const OUTAGE_FRAMES = 1_500;
const LIMIT_MS = 60_000;

describe("a recording through a hub that is killed and comes back", { concurrency: true }, () => {
  after(() => Program.killAll());

  it("has every frame once and in order", async (t) => {
    const { lost, produced } = await recordOutage(t, "whole.log", 32 << 20);
    assert.equal(lost, 0);
    assert.ok(produced > OUTAGE_FRAMES);
  });

  it("says which frames are missing where the edge could not keep them", async (t) => {
    const { lost } = await recordOutage(t, "holes.log", 64 << 10);
    assert.ok(lost > 0);
  });
});

/** Records over an outage and compares the file with the numbers that the edge made. */
async function recordOutage(t: TestContext, name: string, historyBytes: number) {
  const rig = await Rig.start(t);
  const file = join(ownFolder(), name);
  const recorder = canfleet("record", "a/load0", "--hub", rig.url, "-f", file);
  await recorder.said(/recording a\/load0/, LIMIT_MS);
  const edge = await rig.startEdge("a", RATE, { ledger: { historyBytes } });
  const produced = (): number => rig.produced(edge).at(-1)!;
  const makes = async (frames: number): Promise<void> => {
    const target = produced() + frames;
    await until(`${frames} more frames`, () => produced() >= target, LIMIT_MS);
  };
  await until("the first frames in the file", () => readLog(file).next > 0, LIMIT_MS);
  await rig.killHub();
  await makes(OUTAGE_FRAMES);
  await rig.startHub();
  await recorder.said(/a\/load0: back/, LIMIT_MS);
  await makes(RATE.framesPerBatch);
  const target = produced();
  await until("what was made in the file", () => readLog(file).next >= target, LIMIT_MS);
  recorder.signal("SIGINT");
  assert.equal(await recorder.exit(), 130, recorder.stderr);
  const { first, next, frames, lost, wrong } = readLog(file);
  console.log(`produced ${target} first ${first} next ${next} frames ${frames} lost ${lost}`);
  assert.deepEqual(wrong, []);
  assert.equal(first, 0);
  assert.equal(frames + lost, next);
  assert.ok(readFileSync(file, "utf8").endsWith("\n"));
  return { lost, produced: next };
}

/** What a recording of a load holds; each of its frames carries its number. */
function readLog(file: string) {
  const read = { first: -1, next: 0, frames: 0, lost: 0, wrong: [] as string[] };
  // The last line may be half written.
  for (const line of readFileSync(file, "utf8").split("\n").slice(0, -1)) {
    const missing = parseLostLine(line);
    const [from, to] = missing?.range ? [missing.range.from, missing.range.to] : [numberOf(line), numberOf(line) + 1];
    if (read.first < 0) read.first = read.next = from;
    const isToldRight = !missing || (missing.frames === to - from && missing.place === "edge");
    if (from !== read.next || !isToldRight) read.wrong.push(line);
    read.next = to;
    if (missing) read.lost += to - from;
    else read.frames++;
  }
  return read;
}

/** The number in a frame; NaN in a line that is none. */
function numberOf(line: string): number {
  const hex = /^\(\d+\.\d{6}\) a-load0 100##[0-9A-F]([0-9A-F]{16})/.exec(line)?.[1];
  return hex === undefined ? NaN : Buffer.from(hex, "hex").readDoubleBE();
}
