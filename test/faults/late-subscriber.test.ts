import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HubConnection } from "@canfleet/sdk";
import type { EdgeConfig } from "@canfleet/edge";
import { Gate } from "./gate.ts";
import { Rig } from "./rig.ts";
import { segments, spoolOf, until } from "./spool-rig.ts";

/** 530 kB/s, until it is slowed down to 21 kB/s. */
const LOAD = { batchesPerSecond: 250, framesPerBatch: 32 };
/** What is made while the hub is away: more than memory holds where there is a spool. */
const OUTAGE_FRAMES = 800 * LOAD.framesPerBatch;
const SMALL_HISTORY_BYTES = 1024 * 1024;

interface Told {
  seq: number;
  spool?: { frames: number };
}

/** Hub and edge are back, and the hub has acknowledged everything, before the subscriber is. */
async function comeBackLast(t: TestContext, id: string, ledgerOf: (rig: Rig) => EdgeConfig["ledger"]): Promise<Rig> {
  let gate: Gate | undefined;
  const way = async (port: number): Promise<string> => {
    gate = await Gate.to(port);
    return gate.url;
  };
  const rig = await Rig.start(t, { way, giveUpMs: 60_000 });
  t.after(() => gate?.shut());
  const edge = await rig.startEdge("a", LOAD, { ledger: ledgerOf(rig) ?? {} });
  await until("the subscriber hears it", () => rig.ledger.epochs("a/load0").length === 1);
  gate!.shut();
  await rig.killHub();
  const target = rig.produced(edge)[0]! + OUTAGE_FRAMES;
  await until("the outage is long", () => rig.produced(edge)[0]! >= target);
  edge.process.kill("SIGUSR2");
  await rig.startHub();
  await hubHasAll(t, rig);
  await gate!.open();
  const { lost } = await rig.settle(id);
  assert.equal(lost, 0);
  return rig;
}

/** Waits until the edge has said for some seconds that nothing waits for the hub. */
async function hubHasAll(t: TestContext, rig: Rig): Promise<void> {
  const told: Told[] = [];
  const backfill = { count: 0, lastMs: Infinity };
  const connection = new HubConnection(rig.url, {
    onMessage: (topic, payload, retained) => {
      if (topic.endsWith("/status") && !retained) told.push(JSON.parse(Buffer.from(payload).toString()) as Told);
      if (topic.endsWith("/backfill")) Object.assign(backfill, { count: ++backfill.count, lastMs: performance.now() });
    },
  });
  t.after(() => connection.close());
  await connection.ready(60_000);
  await connection.subscribe(["canfleet/a/load0/status", "canfleet/a/load0/backfill"], 0);
  await until("the edge sends again what the hub has missed", () => backfill.count > 0);
  await until("nothing waits", () => told.length > 0 && (told.at(-1)!.spool?.frames ?? 0) === 0);
  await until("nothing comes any more", () => performance.now() - backfill.lastMs > 1_500);
}

describe("a subscriber that comes back later than hub and edge", { concurrency: true }, () => {
  it("is given what the memory has", async (t) => {
    await comeBackLast(t, "LATE-MEMORY", () => ({ historyBytes: 16 * 1024 * 1024 }));
  });

  it("is given what the spool has sent to the hub meanwhile", async (t) => {
    const rig = await comeBackLast(t, "LATE-SPOOL", (of) => ({
      historyBytes: SMALL_HISTORY_BYTES,
      spool: { dir: spoolOf(of), segmentBytes: 256 * 1024 },
    }));
    const kept = segments(rig);
    assert.ok(kept.length > 0, "still there, for others that come later");
    const sizes = (): number[] => segments(rig).map((file) => statSync(join(spoolOf(rig), file)).size);
    const before = sizes();
    await sleep(1_500);
    assert.ok(
      sizes().reduce((a, b) => a + b, 0) <= before.reduce((a, b) => a + b, 0),
      "nothing is written while all is well",
    );
  });
});
