import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BackfillResponse, Range } from "@canfleet/sdk";
import { BusLedger } from "../bus-ledger.ts";
import { HubLink } from "../hub-link.ts";
import { Spool } from "./spool.ts";

const EARLIER = 76;
const EPOCH = 77;
const PER_BATCH = 4;

/** A ledger and its spool; ended with the test, folder and all. */
function life(t: TestContext, folder: string, epoch: number) {
  const link = new HubLink();
  const spool = new Spool({
    folder,
    edge: "a",
    maxBytes: 1_000_000,
    segmentBytes: 20_000,
    maxAgeMs: undefined,
    policy: "drop-oldest",
    log: () => undefined,
    onReady: () => undefined,
  });
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

function produce(ledger: BusLedger, batches: number): void {
  for (let i = 0; i < batches; i++) {
    ledger.state();
    ledger.add(new Uint8Array(1_000), i * PER_BATCH, PER_BATCH);
  }
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
});
