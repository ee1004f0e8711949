import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackfillResponse, Range } from "@canfleet/sdk";
import { BusLedger } from "../bus-ledger.ts";
import { HubLink } from "../hub-link.ts";
import type { BusSpool } from "./bus-spool.ts";
import type { SpoolOptions } from "./spool.ts";
import { smallSpool } from "./spool.suite.ts";

const EARLIER = 76;
const EPOCH = 77;
const PER_BATCH = 4;

/** A ledger and its spool; ended with the test, folder and all. */
function life(t: TestContext, folder: string, epoch: number, options: Partial<SpoolOptions> = {}) {
  const link = new HubLink();
  const spool = smallSpool(folder, { keepMs: 600_000, ...options });
  t.after(async () => {
    await spool.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const store = spool.addBus("can0", {
    dropped: (range, isNews) => ledger.dropped(range, isNews),
    droppedUnknown: () => ledger.droppedUnknown(),
  });
  const ledger = new BusLedger({ epoch, historyBytes: 1, link, sendLive: () => true, store });
  return { ledger, link, spool, store };
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "canfleet-asked-"));
}

function produce(ledger: BusLedger, batches: number, first = 0): void {
  for (let i = first; i < first + batches; i++) {
    ledger.state();
    ledger.add(new Uint8Array(1_000), i * PER_BATCH, PER_BATCH);
  }
}

/** Produces batches, without a hub, and waits until they are on disk. */
async function fill(ledger: BusLedger, store: BusSpool, batches: number, first = 0): Promise<void> {
  produce(ledger, batches, first);
  await until(() => store.queued.length === 0);
}

async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 60_000; !isSo();) {
    assert.ok(performance.now() < endMs);
    await sleep(5);
  }
}

/** What a request is answered: the numbers that were sent, and the answer. */
async function ask(ledger: BusLedger, epoch: number, [from, to]: Range) {
  const sent: Range[] = [];
  let answer: BackfillResponse | undefined;
  assert.equal(ledger.ask({ id: "x", epoch, from, to }), undefined);
  await until(() => {
    const batch = ledger.nextAsked((response) => (answer = response));
    if (batch && batch !== "later") sent.push([batch.seq, batch.end]);
    return answer !== undefined;
  });
  return { sent, gone: answer!.gone };
}

describe("requests for what lies in a spool", () => {
  it("wait while it is not known yet what earlier lives left", async (t) => {
    const folder = newFolder();
    const earlier = life(t, folder, EARLIER);
    produce(earlier.ledger, 10);
    earlier.spool.start();
    await earlier.spool.close();
    const { ledger, link, spool } = life(t, folder, EPOCH);
    link.connected(0);
    const asked = ask(ledger, EARLIER, [0, 10 * PER_BATCH]);
    assert.equal(
      ledger.nextAsked(() => assert.fail("it is not gone")),
      "later",
    );
    spool.start();
    const { sent, gone } = await asked;
    assert.deepEqual([sent.at(0), sent.at(-1), gone], [[0, 4], [36, 40], []]);
  });

  it("are answered for a while after the hub has taken it all", async (t) => {
    const { ledger, link, spool, store } = life(t, newFolder(), EPOCH);
    spool.start();
    await fill(ledger, store, 40);
    link.connected(0);
    ledger.acknowledged([{ epoch: EPOCH, ranges: [[0, 40 * PER_BATCH]] }]);
    assert.deepEqual([store.status.frames, ledger.nextBackfill()], [0, undefined], "nothing is left to send");
    const { sent, gone } = await ask(ledger, EPOCH, [0, 40 * PER_BATCH]);
    assert.deepEqual([sent.length, gone], [40, []]);
    assert.ok(store.bytes > 0);
  });

  it("are told what is gone once what the hub has taken made room for what it has not", async (t) => {
    const { ledger, link, spool, store } = life(t, newFolder(), EPOCH, { maxBytes: 60_000, policy: "drop-newest" });
    spool.start();
    await fill(ledger, store, 40);
    ledger.acknowledged([{ epoch: EPOCH, ranges: [[0, 40 * PER_BATCH]] }]);
    await fill(ledger, store, 40, 40);
    assert.ok(spool.bytes <= 60_000);
    assert.deepEqual(ledger.lost, {}, "nothing that was needed");
    link.connected(0);
    const { sent, gone } = await ask(ledger, EPOCH, [0, 80 * PER_BATCH]);
    const [first] = sent;
    assert.deepEqual(gone, [{ epoch: EPOCH, from: 0, to: first![0], place: "edge" }]);
    assert.ok(first![0] > 0 && first![0] <= 40 * PER_BATCH);
    assert.equal(sent.at(-1)![1], 80 * PER_BATCH);
  });

  it("are told that it is gone when nothing is to be kept", async (t) => {
    const { ledger, link, spool, store } = life(t, newFolder(), EPOCH, { keepMs: 0 });
    spool.start();
    await fill(ledger, store, 40);
    ledger.acknowledged([{ epoch: EPOCH, ranges: [[0, 40 * PER_BATCH]] }]);
    await until(() => store.bytes === 0);
    link.connected(0);
    const { sent } = await ask(ledger, EPOCH, [0, 40 * PER_BATCH]);
    assert.deepEqual(sent, [[39 * PER_BATCH, 40 * PER_BATCH]], "the history's only one");
  });
});
