import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CompleteOrder,
  encodeBatch,
  FrameBatch,
  RangeSet,
  readBatchHeader,
  type BackfillResponse,
} from "@canfleet/sdk";
import fc from "fast-check";
import { BusLedger } from "./bus-ledger.ts";
import type { StoredBatch } from "./history.ts";
import { HubLink } from "./hub-link.ts";

const EPOCH = 77;
const PER_BATCH = 4;

/** A ledger with a clock of its own and a link that can be cut. */
function rig(historyBytes = 1_000_000) {
  const clock = { ms: 1_000 };
  const link = new HubLink();
  const live: Uint8Array[] = [];
  const way = { open: true };
  const ledger = new BusLedger({
    epoch: EPOCH,
    historyBytes,
    link,
    nowMs: () => clock.ms,
    sendLive: (payload) => {
      if (way.open) live.push(payload);
      return way.open;
    },
  });
  let seq = 0;
  const produce = (batches = 1): void => {
    for (let i = 0; i < batches; i++) {
      const batch = new FrameBatch(PER_BATCH);
      for (let row = 0; row < PER_BATCH; row++) batch.push({ idWord: 1, data: new Uint8Array(8), timestampUs: row });
      Object.assign(batch, { epoch: EPOCH, seq });
      const { notes, lost } = ledger.state();
      if (Object.keys(lost).length > 0) batch.lost = lost;
      ledger.add(encodeBatch(batch, 0, batch.count, notes), seq, PER_BATCH);
      seq += PER_BATCH;
    }
  };
  const connect = (): void => {
    link.connected(clock.ms);
    ledger.linkChanged();
  };
  const cut = (): void => {
    link.disconnected();
    ledger.linkChanged();
  };
  const acknowledge = (...ranges: [number, number][]): void => {
    link.acknowledged();
    ledger.acknowledged([{ epoch: EPOCH, ranges }]);
  };
  const backfilled: Uint8Array[] = [];
  /** Sends all backfill that there is now. */
  const backfill = (): number[] => {
    const sent: number[] = [];
    for (let batch = ledger.nextBackfill(); batch; batch = ledger.nextBackfill()) {
      assert.notEqual(batch, "later");
      ledger.sent(batch as StoredBatch);
      sent.push((batch as StoredBatch).seq);
      backfilled.push((batch as StoredBatch).payload);
    }
    return sent;
  };
  const pass = (ms: number): void => {
    clock.ms += ms;
    ledger.tick();
  };
  return { ledger, link, live, backfilled, way, produce, connect, cut, acknowledge, backfill, pass, clock };
}

function ask({ ledger }: { ledger: BusLedger }, epoch: number, from: number, to: number) {
  assert.equal(ledger.ask({ id: "a", epoch, from, to }), undefined);
  const seqs: number[] = [];
  const answers: BackfillResponse[] = [];
  const next = (): StoredBatch | "later" | undefined => ledger.nextAsked((response) => answers.push(response));
  for (let batch = next(); batch; batch = next()) seqs.push((batch as StoredBatch).seq);
  return { seqs, answers };
}

describe("BusLedger", () => {
  it("sends live what is closed while connected, and nothing again once it is acknowledged", () => {
    const { live, produce, connect, acknowledge, backfill, pass } = rig();
    connect();
    produce(3);
    assert.equal(live.length, 3);
    acknowledge([0, 12]);
    pass(60_000);
    assert.deepEqual(backfill(), []);
  });

  it("never sends live later what was closed while the hub was away: it is backfill, in order", () => {
    const { live, produce, connect, cut, acknowledge, backfill } = rig();
    connect();
    produce(2);
    acknowledge([0, 8]);
    cut();
    produce(3);
    connect();
    produce(1);
    assert.deepEqual(
      live.map((payload) => readBatchHeader(payload).seq),
      [0, 4, 20],
    );
    assert.equal(readBatchHeader(live.at(-1)!).held, 8);
    assert.deepEqual(backfill(), [8, 12, 16]);
  });

  it("sends again what was on its way when the connection was lost", () => {
    const { produce, connect, cut, backfill, acknowledge } = rig();
    connect();
    produce(3);
    acknowledge([0, 4]);
    cut();
    connect();
    assert.deepEqual(backfill(), [4, 8]);
  });

  it("sends again soon what later acknowledgements passed over, and late what was not answered", () => {
    const { produce, connect, backfill, acknowledge, pass } = rig();
    connect();
    produce(4);
    acknowledge([0, 4], [8, 12]);
    pass(299);
    assert.deepEqual(backfill(), []);
    pass(2);
    assert.deepEqual(backfill(), [4]);
    acknowledge([0, 12]);
    pass(1_800);
    assert.deepEqual(backfill(), [12]);
    pass(1_900);
    assert.deepEqual(backfill(), []);
    pass(200);
    assert.deepEqual(backfill(), [12], "again, as long as nobody answers");
  });

  it("sends as backfill what the socket did not take", () => {
    const { way, produce, connect, backfill, pass } = rig();
    connect();
    way.open = false;
    produce(2);
    way.open = true;
    pass(100);
    assert.deepEqual(backfill(), [0, 4]);
  });

  it("states what the memory could not keep as lost, with its range, in the next batch", () => {
    const { ledger, live, backfilled, produce, connect, backfill, acknowledge } = rig(10 * 300);
    produce(100);
    connect();
    produce(1);
    const sent = backfill();
    acknowledge([sent[0]!, 404]);
    produce(1);
    const kept = sent[0]!;
    assert.ok(kept > 0);
    const gone = [...live, ...backfilled].flatMap((payload) => readBatchHeader(payload).gone ?? []);
    assert.deepEqual(ledger.lost, { edge: kept });
    assert.equal(sent.length * PER_BATCH + kept, 400);
    assert.deepEqual([...new RangeSet(gone.map(({ from, to }) => [from, to] as const))], [[0, kept]]);
  });

  it("says on request what it still has and what is gone", () => {
    const it = rig(10 * 300);
    it.produce(100);
    it.connect();
    const first = it.backfill()[0]!;
    const { seqs, answers } = ask(it, EPOCH, 100, 10_000);
    assert.deepEqual(seqs[0], first);
    assert.equal(seqs.at(-1), 396);
    assert.deepEqual(answers, [{ id: "a", gone: [{ epoch: EPOCH, from: 100, to: first, place: "edge" }] }]);
    assert.deepEqual(ask(it, 5, 0, 10), {
      seqs: [],
      answers: [{ id: "a", gone: [{ epoch: 5, from: 0, to: 10, place: "edge" }] }],
    });
  });

  it("takes a broker without a hub at its word after a while, and repeats only what was near a cut", () => {
    const { produce, connect, cut, backfill, pass } = rig();
    connect();
    pass(10_001);
    produce(1);
    pass(17_000);
    produce(1);
    assert.deepEqual(backfill(), []);
    cut();
    produce(1);
    connect();
    assert.deepEqual(backfill(), [4, 8]);
  });

  it("loses nothing without a word, whatever becomes of connection, messages and acknowledgements", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), (seed) => {
        runWorld(seed);
      }),
      { numRuns: 60 },
    );
  });
});

/** A ledger, a hub that comes and goes, and a subscriber in complete order who misses messages of its own. */
function runWorld(seed: number): void {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  const edge = rig(3_000 + random() * 30_000);
  const delivered = new RangeSet();
  const lost = new RangeSet();
  let last = 0;
  const note = (into: RangeSet, from: number, to: number): void => {
    assert.ok(from >= last, `${from} came after ${last}`);
    into.add(from, (last = to));
  };
  const order = new CompleteOrder({
    deliver: (_channel, payload, skip) => {
      const { seq, count } = readBatchHeader(payload);
      note(delivered, seq + skip, seq + count);
    },
    lost: (_channel, { from, to }) => note(lost, from, to),
    endMissed: () => assert.fail("nothing is interrupted here"),
    ask: (_channel, epoch, from, to) => {
      if (random() < 0.3 || !edge.link.isConnected) return;
      edge.ledger.ask({ id: "s", epoch, from, to });
    },
  });
  const taken = new RangeSet();
  const hear = (payload: Uint8Array, isLive: boolean, lossRate: number): void => {
    const { seq, count } = readBatchHeader(payload);
    if (random() < lossRate) return;
    if (random() >= lossRate) taken.add(seq, seq + count);
    if (random() >= lossRate) order.accept("e/b", payload, isLive, edge.clock.ms);
  };
  let heard = 0;
  const turn = (lossRate: number): void => {
    edge.produce();
    while (heard < edge.live.length) hear(edge.live[heard++]!, true, lossRate);
    for (let i = 0; i < 5 && edge.link.isConnected; i++) {
      const asked = edge.ledger.nextAsked(({ gone }) => {
        for (const range of gone) order.gone("e/b", range, edge.clock.ms);
      });
      const batch = asked ?? edge.ledger.nextBackfill();
      if (!batch || batch === "later") break;
      if (!asked) edge.ledger.sent(batch);
      hear(batch.payload, false, lossRate);
    }
    if (edge.link.isConnected && random() > lossRate) edge.acknowledge(...([...taken] as [number, number][]));
    edge.pass(50);
    order.tick(edge.clock.ms);
  };
  edge.connect();
  turn(0);
  for (let i = 0; i < 300; i++) {
    if (random() < 0.03) {
      if (edge.link.isConnected) edge.cut();
      else edge.connect();
    }
    turn(0.2);
  }
  if (!edge.link.isConnected) edge.connect();
  for (let i = 0; i < 400; i++) turn(0);
  const all = new RangeSet([...delivered, ...lost]);
  assert.deepEqual([...all], [[0, 701 * PER_BATCH]], "everything delivered or stated");
  for (const [from, to] of lost) assert.ok(delivered.missing(from, to).length === 1, "never both");
}
