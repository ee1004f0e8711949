import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameBatch, type FrameParts } from "../can/frame-batch.ts";
import { makeIdWord, RTR_FLAG } from "../can/id.ts";
import { isCanfleetError } from "../errors.ts";
import { decodeBatch, encodeBatch } from "./batch.ts";
import { decodeSendReport, decodeSendRequest, encodeSendReport, encodeSendRequest } from "./send-request.ts";

interface GoldenFrame {
  t?: number;
  ns?: number;
  idWord: number;
  length: number;
  dlc: number;
  flags: number;
  data: string;
}

interface Golden {
  batches: {
    name: string;
    hex: string;
    frames: GoldenFrame[];
    epoch: number;
    seq: number;
    unknownFlags?: number;
    lost?: { [place: string]: number | null };
  }[];
  badBatches: { name: string; hex: string; says: string }[];
  sendRequests: { name: string; hex: string; nonce: string; ttlMs: number; frames: GoldenFrame[] }[];
  sendReports: { name: string; hex: string; nonce: string; results: string[]; timestampsUs: (number | null)[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../../test/vectors/wire-mqtt.json", import.meta.url), "utf8"),
) as Golden;

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

function rows(batch: FrameBatch): Required<GoldenFrame>[] {
  return Array.from({ length: batch.count }, (_, i) => ({
    t: batch.timestampUs[i]!,
    ns: batch.timestampNs[i]!,
    idWord: batch.idWord[i]!,
    length: batch.length[i]!,
    dlc: batch.dlc[i]!,
    flags: batch.flags[i]!,
    data: Buffer.from(batch.payload(i)).toString("hex"),
  }));
}

function expected(frames: GoldenFrame[]): Required<GoldenFrame>[] {
  return frames.map((frame) => ({ t: 0, ns: 0, ...frame }));
}

describe("golden batches", () => {
  for (const { name, hex, frames, epoch, seq, unknownFlags, lost } of golden.batches) {
    it(`reads ${name}`, () => {
      const batch = decodeBatch(bytes(hex));
      assert.deepEqual(rows(batch), expected(frames));
      assert.equal(batch.epoch, epoch);
      assert.equal(batch.seq, seq);
      assert.equal(batch.unknownFlags, unknownFlags ?? 0);
      assert.deepEqual(batch.lost, lost);
    });

    it(`writes ${name} so that it reads the same, in no more bytes`, () => {
      const written = encodeBatch(decodeBatch(bytes(hex)));
      assert.deepEqual(rows(decodeBatch(written)), expected(frames));
      // Our map header and 64-bit numbers may be as long as another library's, never longer.
      assert.ok(written.length <= bytes(hex).length, `${written.length} > ${bytes(hex).length}`);
    });
  }

  for (const { name, hex, says } of golden.badBatches) {
    it(`refuses ${name} and names what is wrong`, () => {
      assert.throws(
        () => decodeBatch(bytes(hex)),
        (error) => isCanfleetError(error, "WIRE_BAD_BATCH") && error.message.includes(says),
      );
    });
  }
});

describe("golden send requests and results", () => {
  for (const { name, hex, nonce, ttlMs, frames } of golden.sendRequests) {
    it(`reads and writes a ${name}`, () => {
      const request = decodeSendRequest(bytes(hex));
      assert.equal(Buffer.from(request.nonce).toString("hex"), nonce);
      assert.equal(request.ttlMs, ttlMs);
      assert.deepEqual(rows(request.frames), expected(frames));
      const again = decodeSendRequest(encodeSendRequest(request.nonce, ttlMs, request.frames));
      assert.deepEqual(rows(again.frames), expected(frames));
    });
  }

  for (const { name, hex, nonce, results, timestampsUs } of golden.sendReports) {
    it(`reads and writes ${name}`, () => {
      const report = decodeSendReport(bytes(hex));
      assert.equal(Buffer.from(report.nonce).toString("hex"), nonce);
      assert.deepEqual(report.results, results);
      assert.deepEqual(report.timestampsUs, timestampsUs);
      assert.equal(Buffer.from(encodeSendReport(report)).toString("hex"), hex);
    });
  }
});

const frameParts: fc.Arbitrary<FrameParts> = fc
  .record({
    extended: fc.boolean(),
    id: fc.nat(0x7ff),
    wide: fc.nat(0x1fffffff),
    data: fc.uint8Array({ maxLength: 8 }),
    remote: fc.boolean(),
    raw: fc.integer({ min: 9, max: 15 }),
    fd: fc.boolean(),
    fdLength: fc.constantFrom(0, 1, 8, 12, 16, 20, 24, 32, 48, 64),
    flags: fc.nat(31),
  })
  .map(({ extended, id, wide, data, remote, raw, fd, fdLength, flags }) => {
    const idWord = makeIdWord(extended ? wide : id, extended);
    if (fd) return { idWord, data: new Uint8Array(fdLength).fill(id), flags: flags | 1 };
    if (remote) return { idWord: (idWord | RTR_FLAG) >>> 0, length: data.length, flags: flags & 24 };
    return { idWord, data, flags: flags & 24, ...(data.length === 8 ? { dlc: raw } : {}) };
  });

describe("any batch", () => {
  it("reads as it was written", () => {
    const steps = fc.array(fc.tuple(frameParts, fc.nat(0xffffffff)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(steps, fc.nat(), (frames, seq) => {
        const batch = new FrameBatch(frames.length);
        let timestampUs = 1_790_000_000_000_000;
        for (const [parts, stepUs] of frames) batch.push({ ...parts, timestampUs: (timestampUs += stepUs) });
        batch.seq = seq;
        batch.epoch = 1_790_000_000_000_000;
        const read = decodeBatch(encodeBatch(batch));
        assert.deepEqual(rows(read), rows(batch));
        assert.equal(read.seq, seq);
        assert.equal(read.epoch, batch.epoch);
      }),
    );
  });

  it("of hostile bytes throws an error of ours or reads, and changes no prototype", () => {
    const before = Object.getOwnPropertyNames(Object.prototype).length;
    const valid = fc.constantFrom(...golden.batches.map(({ hex }) => bytes(hex)));
    const mutated = fc
      .tuple(valid, fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 6 }))
      .map(([source, edits]) => {
        const copy = source.slice();
        for (const [at, value] of edits) copy[at % copy.length] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (input) => {
        try {
          decodeBatch(input);
        } catch (error) {
          assert.ok(isCanfleetError(error, "WIRE_BAD_BATCH"), String(error));
        }
      }),
      { numRuns: 3000 },
    );
    assert.equal(Object.getOwnPropertyNames(Object.prototype).length, before);
  });

  it("is refused when its time goes backwards", () => {
    const batch = FrameBatch.of({ idWord: 1, timestampUs: 2 }, { idWord: 1, timestampUs: 1 });
    batch.seq = 0;
    assert.throws(() => encodeBatch(batch), RangeError);
  });
});
