import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameBatch } from "../can/frame-batch.ts";
import { isCanfleetError } from "../errors.ts";
import { decodeAck, encodeAck } from "./ack.ts";
import {
  decodeBackfillRequest,
  decodeBackfillResponse,
  encodeBackfillRequest,
  encodeBackfillResponse,
} from "./backfill-request.ts";
import { readBatchHeader, type BatchNotes } from "./batch-notes.ts";
import { decodeBatch, encodeBatch } from "./batch.ts";

const EPOCH = 1_700_000_000_000_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function batchOf(seq: number, count: number): FrameBatch {
  const batch = new FrameBatch(count);
  for (let i = 0; i < count; i++) batch.push({ idWord: 0x100 + i, data: Uint8Array.of(i), timestampUs: EPOCH + i });
  batch.epoch = EPOCH;
  batch.seq = seq;
  return batch;
}

describe("batch header", () => {
  it("has the numbers and the notes of any batch, whose frames stay the same", () => {
    const number = fc.nat(Number.MAX_SAFE_INTEGER - 1);
    fc.assert(
      fc.property(
        number,
        fc.integer({ min: 1, max: 300 }),
        fc.option(number),
        fc.boolean(),
        (seq, count, held, gone) => {
          fc.pre(seq + count <= Number.MAX_SAFE_INTEGER);
          const notes: BatchNotes = {
            ...(held === null ? {} : { held }),
            ...(gone ? { gone: [{ epoch: EPOCH, from: seq, to: seq + count, place: "spool" }] } : {}),
          };
          const batch = batchOf(seq, count);
          batch.lost = { kernel: null, spool: 3 };
          const payload = encodeBatch(batch, 0, count, notes);
          assert.deepEqual(readBatchHeader(payload), { epoch: EPOCH, seq, count, ...notes });
          assert.deepEqual(decodeBatch(payload), decodeBatch(encodeBatch(batch)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it("has places with their names, in ASCII and not", () => {
    for (const place of ["spool", "spool-überlauf", "sixteen-letters!"]) {
      const gone = [{ epoch: EPOCH, from: 5, to: 8, place }];
      assert.deepEqual(readBatchHeader(encodeBatch(batchOf(8, 1), 0, 1, { gone })).gone, gone);
    }
  });

  it("is refused with one error code whatever the bytes are", () => {
    const whole = encodeBatch(batchOf(5, 3), 0, 3, { held: 2 });
    const cut = fc.nat(whole.length - 1).map((length) => whole.subarray(0, length));
    const spoilt = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
      const copy = whole.slice();
      copy[at]! ^= by;
      return copy;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), cut, spoilt), (payload) => {
        try {
          readBatchHeader(payload);
        } catch (error) {
          assert.ok(isCanfleetError(error, "WIRE_BAD_BATCH"), String(error));
        }
      }),
      { numRuns: 1000 },
    );
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => readBatchHeader(whole.subarray(0, length)), { code: "WIRE_BAD_BATCH" });
    }
  });
});

describe("acknowledgement", () => {
  it("comes back as it went out", () => {
    const ack = new Map([
      [
        "can0",
        [
          { epoch: EPOCH, ranges: [[0, 5] as const, [7, 2 ** 40] as const] },
          { epoch: EPOCH + 1, ranges: [] },
        ],
      ],
      ["can1", []],
    ]);
    assert.deepEqual(decodeAck(encodeAck(ack)), ack);
  });

  it("is refused when ranges do not ascend, or it is something else", () => {
    for (const ranges of [
      [[5, 5]],
      [[6, 5]],
      [
        [0, 5],
        [5, 6],
      ],
      [
        [4, 5],
        [0, 1],
      ],
    ] as const) {
      const payload = encodeAck(new Map([["can0", [{ epoch: 1, ranges }]]]));
      assert.throws(() => decodeAck(payload), { code: "WIRE_BAD_BATCH" });
    }
    fc.assert(
      fc.property(fc.uint8Array(), (payload) => {
        assert.throws(() => decodeAck(payload), { code: "WIRE_BAD_BATCH" });
      }),
    );
  });
});

describe("backfill request", () => {
  it("comes back as it went out, and so does its answer", () => {
    const request = { id: "a-1", epoch: EPOCH, from: 3, to: 9 };
    assert.deepEqual(decodeBackfillRequest(bytes(encodeBackfillRequest(request))), request);
    const response = { id: "a-1", gone: [{ epoch: EPOCH, from: 3, to: 4, place: "spool" }] };
    assert.deepEqual(decodeBackfillResponse(bytes(encodeBackfillResponse(response))), response);
  });

  it("leaves requests of other kinds to others and refuses impossible ones", () => {
    assert.equal(decodeBackfillRequest(bytes('{"id":"x","op":"filter"}')), undefined);
    assert.equal(decodeBackfillRequest(bytes("no JSON")), undefined);
    assert.throws(() => decodeBackfillRequest(bytes('{"id":"x","op":"backfill","epoch":1,"from":5,"to":5}')), {
      code: "WIRE_BAD_BATCH",
    });
  });
});
