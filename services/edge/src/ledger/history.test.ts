import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { History } from "./history.ts";

function payloadOf(seq: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seq * 31 + i) & 0xff);
}

function push(history: History, seq: number, length: number): void {
  const payload = payloadOf(seq, length);
  history.push({ epoch: 1, seq, end: seq + 1, payload, connection: 1, sentAtMs: seq, spooled: false });
  payload.fill(0xee); // what was handed over may be used again
}

describe("the batches in memory", () => {
  it("have the bytes that they were given as long as they are there, whatever their sizes", () => {
    const history = new History(1_000_000);
    const lengthOf = (seq: number): number => (seq % 97 === 0 ? 150_000 : seq % 11 === 0 ? 30_000 : (seq * 37) % 4_000);
    for (let seq = 0; seq < 3_000; seq++) {
      push(history, seq, lengthOf(seq));
      for (let oldest = history.takeExcess(); oldest; oldest = history.takeExcess()) {
        assert.deepEqual(oldest.payload, payloadOf(oldest.seq, lengthOf(oldest.seq)));
      }
      assert.ok(history.bytes <= 1_000_000);
      for (const place of [0, history.length >> 1, history.length - 1]) {
        const entry = history.at(place)!;
        assert.deepEqual(entry.payload, payloadOf(entry.seq, lengthOf(entry.seq)), `batch ${entry.seq}`);
      }
    }
    assert.ok(history.length > 50);
  });

  it("keep the newest, however large", () => {
    const history = new History(65_536);
    push(history, 1, 200_000);
    assert.equal(history.takeExcess(), undefined);
    push(history, 2, 10);
    assert.equal(history.takeExcess()?.seq, 1);
    assert.deepEqual([history.length, history.first, history.bytes < 65_536], [1, 2, true]);
  });

  it("give copies, which nothing changes later", () => {
    const history = new History(65_536);
    push(history, 1, 1_000);
    const copy = history.at(0)!.payload;
    for (let seq = 2; seq < 400; seq++) {
      push(history, seq, 1_000);
      while (history.takeExcess());
    }
    assert.deepEqual(copy, payloadOf(1, 1_000));
  });
});
