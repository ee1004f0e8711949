import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch } from "../can/frame-batch.ts";
import {
  encodeHello,
  encodeRecords,
  encodeSignal,
  decodeRecord,
  isPlausibleRecord,
  isHelloAt,
  signalAt,
  type RecordSize,
} from "./record.ts";
import { viewOf } from "./byte-tail.ts";
import { batchOf, bytesOf, rowsOf, VECTORS } from "./wire-tcp.suite.ts";

const SIZES: RecordSize[] = [13, 21, 29];

describe("records", () => {
  for (const vector of [...VECTORS.records, ...VECTORS.recordsWriteOnly]) {
    for (const size of SIZES) {
      it(`writes ${size} bytes: ${vector.name}`, () => {
        const target = new Uint8Array(size + 2).fill(0xee);
        const done = encodeRecords(batchOf([vector.frame]), size, target, 1);
        assert.deepEqual(done, { bytes: size, skipped: 0 });
        assert.deepEqual(target.subarray(1, size + 1), bytesOf(vector[size]));
        assert.equal(target[0], 0xee);
        assert.equal(target[size + 1], 0xee);
      });
    }
  }

  for (const vector of [...VECTORS.records, ...VECTORS.recordsReadOnly]) {
    for (const size of SIZES) {
      it(`reads ${size} bytes: ${vector.name}`, () => {
        const bytes = bytesOf(vector[size]);
        assert.ok(isPlausibleRecord(viewOf(bytes), 0, size));
        const batch = new FrameBatch(1, 8);
        decodeRecord(bytes, viewOf(bytes), 0, size, batch, 42);
        const wanted = batchOf([vector.frame]);
        if (size === 13) wanted.timestampUs[0] = 42;
        assert.deepEqual(rowsOf(batch), rowsOf(wanted));
      });
    }
  }

  for (const vector of VECTORS.implausible) {
    it(`is not plausible: ${vector.name}`, () => {
      assert.equal(isPlausibleRecord(viewOf(bytesOf(vector.bytes)), 0, vector.size), false);
    });
  }

  it("skips and counts frames that it cannot hold, and keeps the others in order", () => {
    const batch = FrameBatch.of(
      { idWord: 1, data: new Uint8Array(8) },
      { idWord: 2, data: new Uint8Array(12), flags: 1 },
      { idWord: 3, data: new Uint8Array(2), flags: 1 },
      { idWord: 4, data: new Uint8Array(1) },
    );
    const target = new Uint8Array(4 * 13);
    assert.deepEqual(encodeRecords(batch, 13, target), { bytes: 26, skipped: 2 });
    assert.equal(target[0], 1);
    assert.equal(target[13], 4);
  });

  it("refuses a target that is too small", () => {
    const batch = FrameBatch.of({ idWord: 1 }, { idWord: 2 });
    assert.throws(() => encodeRecords(batch, 21, new Uint8Array(41)), RangeError);
  });

  it("writes and knows greeting, accept and hello", () => {
    const { timestampUs, greeting, accept, hello } = VECTORS.upgrade;
    assert.deepEqual(encodeSignal("greeting", timestampUs), bytesOf(greeting));
    assert.deepEqual(encodeSignal("accept", timestampUs), bytesOf(accept));
    assert.deepEqual(encodeHello(), bytesOf(hello));
    assert.equal(signalAt(bytesOf(greeting), viewOf(bytesOf(greeting)), 0), "greeting");
    assert.equal(signalAt(bytesOf(accept), viewOf(bytesOf(accept)), 0), "accept");
    assert.ok(isHelloAt(bytesOf(hello), viewOf(bytesOf(hello)), 0));
  });

  it("is neither greeting nor hello in another version", () => {
    const greeting = bytesOf(VECTORS.upgrade.greeting);
    greeting[17] = 2;
    assert.equal(signalAt(greeting, viewOf(greeting), 0), undefined);
  });
});
