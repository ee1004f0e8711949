import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HubConnection } from "@canfleet/sdk";
import { FakeClock, fakeClockProblem } from "./fake-clock.ts";
import { Gate } from "./gate.ts";
import { Rig, SOAK, until, type RunningEdge } from "./rig.ts";

/** 100 batches/s of 1 kB, each frame stamped by the wall clock. */
const LOAD = { batchesPerSecond: 100, framesPerBatch: 16 };
const HOUR = 3_600;
const YEARS = 5 * 365 * 24 * HOUR;
/** What the table of cases names, and what a busy machine is allowed, s. */
const ANNOUNCED = { named: 2, allowed: 20 };

function makeClocks(t: TestContext): (name: string, offsetSeconds?: number) => FakeClock {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-clocks-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return (name, offsetSeconds) => new FakeClock(join(folder, name), offsetSeconds);
}

/** What an edge said about a step of so many seconds. */
function announcements(rig: Rig, { name }: RunningEdge, seconds: number): number {
  const stepsSaid = rig.edgeLog.map((line) => /^(.+): the clock of this machine was set by ([+-][\d.]+) s$/.exec(line));
  return stepsSaid.filter((said) => said?.[1] === name && Math.abs(Number(said[2]) - seconds) < 1).length;
}

/** Sets the clock of an edge and waits until it has said so. */
async function setClock(rig: Rig, edge: RunningEdge, clock: FakeClock, offsetSeconds: number): Promise<void> {
  const before = performance.now();
  const step = clock.set(offsetSeconds);
  const told = announcements(rig, edge, step);
  await until(`${edge.name} says that its clock was set by ${step} s`, () => announcements(rig, edge, step) > told);
  const seconds = (performance.now() - before) / 1000;
  console.log(`R20 ${edge.name}: ${step} s announced after ${seconds.toFixed(1)} s (${ANNOUNCED.named})`);
  assert.ok(seconds <= ANNOUNCED.allowed);
}

function connections(rig: Rig, { name }: RunningEdge): number {
  return rig.edgeLog.filter((line) => line.startsWith(`${name}: hub`) && line.endsWith(" connected")).length;
}

describe("R20 somebody sets the clocks", { skip: fakeClockProblem(), concurrency: true }, () => {
  it("of edges and the hub at load: an hour back, forward, five years, and from 1970 to now", async (t) => {
    const clockOf = makeClocks(t);
    const clocks = {
      hub: clockOf("hub"),
      set: clockOf("set"),
      new: clockOf("new", 60 - Math.floor(Date.now() / 1000)),
    };
    const rig = await Rig.start(t, { hubEnv: clocks.hub.env });
    const set = await rig.startEdge("set", LOAD, {}, { env: clocks.set.env });
    const fresh = await rig.startEdge("new", LOAD, {}, { env: clocks.new.env });
    const steps = new Map<string, number>();
    const watcher = new HubConnection(rig.url, {
      onMessage: (topic, payload) => {
        const { clock } = JSON.parse(new TextDecoder().decode(payload)) as { clock: { steps: number } };
        steps.set(topic.split("/")[1]!, clock.steps);
      },
    });
    t.after(() => watcher.close());
    await watcher.ready();
    await watcher.subscribe(["canfleet/+/+/status"], 1);
    await until("both edges relay", () => steps.size === 2 && rig.edges.every((edge) => rig.produced(edge)[0]! > 0));
    for (let round = 0; round < SOAK; round++) {
      await setClock(rig, set, clocks.set, -HOUR);
      clocks.hub.set(-HOUR);
      await setClock(rig, set, clocks.set, HOUR);
      await setClock(rig, fresh, clocks.new, round % 2 === 0 ? 0 : 60 - Math.floor(Date.now() / 1000));
      clocks.hub.set(YEARS);
      await setClock(rig, set, clocks.set, YEARS);
      clocks.hub.set(HOUR);
      await setClock(rig, set, clocks.set, 0);
    }
    await until(
      "the steps are in status",
      () => (steps.get("set") ?? 0) >= 4 * SOAK && (steps.get("new") ?? 0) >= SOAK,
    );
    const { lost } = await rig.settle("R20");
    assert.equal(lost, 0);
    for (const edge of rig.edges) assert.equal(connections(rig, edge), 1, `${edge.name} stayed connected`);
  });

  it("of an edge while the hub is away and while it replays: nothing is too old, nothing comes twice", async (t) => {
    const clockOf = makeClocks(t);
    const clock = clockOf("edge");
    const rig = await Rig.start(t);
    const gate = await Gate.to(rig.port);
    t.after(() => gate.shut());
    const spool = { dir: join(rig.folder, "spool"), segmentBytes: 65_536, maxAgeHours: 1, keepSeconds: 0 };
    const segments = (): number => readdirSync(spool.dir).filter((file) => file.endsWith(".spool")).length;
    const ledger = { historyBytes: 65_536, backfillBytesPerSecond: 250_000, spool };
    const edge = await rig.startEdge("a", LOAD, { hub: gate.url, ledger }, { env: clock.env });
    await until("it is connected", () => connections(rig, edge) === 1 && rig.produced(edge)[0]! > 0);
    gate.shut();
    await until("batches are on disk", () => segments() > 3);
    await setClock(rig, edge, clock, YEARS);
    // Long enough for the spool to look for batches that are too old.
    await sleep(1_500);
    await gate.open();
    await until("the hub is back", () => connections(rig, edge) === 2);
    await setClock(rig, edge, clock, -HOUR);
    console.log(`R20 ${segments()} segments were still to be replayed then`);
    const { lost } = await rig.settle("R20-REPLAY");
    assert.equal(lost, 0);
    await until("nothing is left on disk", () => segments() === 0);
    assert.equal(connections(rig, edge), 2);
  });
});
