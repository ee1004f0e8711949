import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameBatch, type Losses } from "../can/frame-batch.ts";
import { isCanfleetError } from "../errors.ts";
import {
  CLOCK_BYTES,
  EdgeEncoder,
  encodeEdgeClock,
  encodeHeartbeat,
  encodeHostFrame,
  encodeResult,
  maxEncodedBytes,
  RESULT_BYTES,
  TAG_ASKED,
  TAG_CLOCK,
} from "./extended-link.ts";
import { EdgeItemStream, HostItemStream } from "./extended-stream.ts";
import { viewOf } from "./byte-tail.ts";
import type { SendCode } from "./send-request.ts";
import { batchOf, bytesOf, rowsOf, VECTORS } from "./wire-tcp.suite.ts";

interface HeardBatch {
  epoch: number;
  seq: number;
  unknownFlags: number;
  lost: Losses | undefined;
  rows: object[];
}

class HeardEdge {
  readonly batches: HeardBatch[] = [];
  readonly results: [number, string, number | undefined][] = [];
  readonly clocks: number[] = [];
  readonly stream = new EdgeItemStream({
    frames: (batch) => {
      const { epoch, seq, unknownFlags, lost } = batch;
      this.batches.push({ epoch, seq, unknownFlags, lost, rows: rowsOf(batch) });
    },
    result: (number, code, timestampUs) => this.results.push([number, code, timestampUs]),
    clock: (atUs) => this.clocks.push(atUs),
  });

  hear(bytes: Uint8Array, chunkBytes = bytes.length): this {
    for (let at = 0; at < bytes.length; at += chunkBytes) this.stream.read(bytes.subarray(at, at + chunkBytes));
    return this;
  }

  get rows(): object[] {
    return this.batches.flatMap((batch) => batch.rows);
  }
}

function encodeAll(encoder: EdgeEncoder, batch: FrameBatch): Uint8Array {
  const target = new Uint8Array(maxEncodedBytes(batch));
  return target.slice(0, encoder.encode(batch, target));
}

function clockItem(tag: typeof TAG_CLOCK | typeof TAG_ASKED, atUs: number): Uint8Array {
  const target = new Uint8Array(CLOCK_BYTES);
  assert.equal(encodeEdgeClock(tag, atUs, target, 0), CLOCK_BYTES);
  return target;
}

const { edgeToHost } = VECTORS;
const edgeBatches = edgeToHost.batches.map(({ seq, unknownFlags, lost, frames }) => {
  const batch = batchOf(frames);
  Object.assign(batch, { epoch: edgeToHost.epoch, seq, unknownFlags, lost: lost ?? undefined });
  return batch;
});
const edgeBytes = Buffer.concat(edgeToHost.items.map((item) => bytesOf(item.bytes)));

describe("extended link, edge to host", () => {
  it("writes the golden items", () => {
    const encoder = new EdgeEncoder();
    const written = Buffer.concat(edgeBatches.map((batch) => encodeAll(encoder, batch)));
    assert.equal(written.toString("hex"), edgeBytes.toString("hex"));
  });

  it("reads the golden items", () => {
    const wanted = edgeBatches.map((batch) => ({
      epoch: batch.epoch,
      seq: batch.seq,
      unknownFlags: batch.unknownFlags,
      lost: batch.lost,
      rows: rowsOf(batch),
    }));
    assert.deepEqual(new HeardEdge().hear(edgeBytes).batches, wanted);
  });

  it("reads them in any split", () => {
    const wanted = new HeardEdge().hear(edgeBytes).rows;
    for (let chunkBytes = 1; chunkBytes < edgeBytes.length; chunkBytes++) {
      const heard = new HeardEdge().hear(edgeBytes, chunkBytes);
      assert.deepEqual(heard.rows, wanted);
      let seq = 41;
      for (const batch of heard.batches) {
        if (batch.lost?.link === null) seq = 50;
        assert.equal(batch.seq, seq);
        seq += batch.rows.length;
      }
    }
  });

  for (const vector of VECTORS.edgeControl) {
    it(`writes ${vector.name}`, () => {
      if (vector.clockUs !== undefined) {
        assert.deepEqual(encodeHeartbeat(vector.clockUs, vector.nextSeq ?? 0), bytesOf(vector.bytes));
        return;
      }
      if (vector.edgeClockUs !== undefined) {
        assert.deepEqual(clockItem(TAG_CLOCK, vector.edgeClockUs), bytesOf(vector.bytes));
        assert.deepEqual(new HeardEdge().hear(bytesOf(vector.bytes), 1).clocks, [vector.edgeClockUs]);
        return;
      }
      const target = new Uint8Array(RESULT_BYTES);
      const timestampUs = vector.timestampUs ?? undefined;
      assert.equal(encodeResult(vector.number!, vector.code as SendCode, timestampUs, target, 0), RESULT_BYTES);
      assert.deepEqual(target, bytesOf(vector.bytes));
      assert.deepEqual(new HeardEdge().hear(target).results, [[vector.number, vector.code, timestampUs]]);
    });
  }

  it("tells losses that no frame follows with the next heartbeat", () => {
    const encoder = new EdgeEncoder();
    encoder.lose(7);
    const target = new Uint8Array(80);
    const heard = new HeardEdge().hear(target.subarray(0, encoder.flushLosses(target, 0)));
    assert.equal(heard.batches.length, 0);
    heard.hear(encodeHeartbeat(1, -1));
    assert.deepEqual(
      heard.batches.map(({ lost, rows }) => ({ lost, rows })),
      [{ lost: { link: 7 }, rows: [] }],
    );
  });

  it("tells frames that it cannot hold as lost at the link, with numbers that fit", () => {
    const batch = FrameBatch.of({ idWord: 1 }, { idWord: 2, data: new Uint8Array(9), flags: 1 }, { idWord: 3 });
    batch.seq = 5;
    const encoder = new EdgeEncoder();
    const heard = new HeardEdge().hear(encodeAll(encoder, batch));
    assert.equal(encoder.skipped, 1);
    assert.deepEqual(
      heard.batches.map(({ seq, lost }) => ({ seq, lost })),
      [
        { seq: 5, lost: undefined },
        { seq: 7, lost: { link: 1 } },
      ],
    );
  });

  it("skips control items that it does not know, and bytes behind the known ones", () => {
    const sync = bytesOf(edgeToHost.items[0]!.bytes);
    const longer = Uint8Array.from([sync[0]!, sync[1]! + 3, ...sync.subarray(2), 9, 9, 9]);
    const unknown = Uint8Array.of(255, 4, 1, 2, 3, 4);
    const heard = new HeardEdge().hear(Buffer.concat([unknown, longer, unknown, bytesOf(edgeToHost.items[1]!.bytes)]));
    assert.deepEqual(heard.rows, rowsOf(edgeBatches[0]!).slice(0, 1));
  });

  const refused: [string, number[]][] = [
    ["a frame before the first sync", [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]],
    ["tag 72", [72]],
    ["a sync that is too short", [128, 1, 0]],
    ["an epoch beyond all time", [128, 25, ...new Array<number>(25).fill(0xee)]],
    ["a loss without a place", [130, 4, 1, 0, 0, 0]],
    ["a result that is too short", [132, 3, 1, 0, 0]],
  ];
  for (const [name, bytes] of refused) {
    it(`ends at ${name}`, () => {
      assert.throws(
        () => new HeardEdge().hear(Uint8Array.from(bytes)),
        (error) => isCanfleetError(error, "WIRE_BAD_RECORD"),
      );
    });
  }
});

interface Asked {
  rows: object[];
  numbers: number[];
  ttls: number[];
  asked: (number | undefined)[];
}

describe("extended link, host to edge", () => {
  function read(bytes: Uint8Array, chunkBytes = bytes.length): Asked {
    const heard: Asked = { rows: [], numbers: [], ttls: [], asked: [] };
    const stream = new HostItemStream({
      frames: (batch, numbers, ttlMs, askedUs) => {
        heard.rows.push(...rowsOf(batch));
        heard.numbers.push(...numbers);
        for (let i = 0; i < batch.count; i++) heard.ttls.push(ttlMs);
        for (let i = 0; i < batch.count; i++) heard.asked.push(askedUs);
      },
    });
    for (let at = 0; at < bytes.length; at += chunkBytes) stream.read(bytes.subarray(at, at + chunkBytes));
    return heard;
  }

  const frames = batchOf(VECTORS.hostToEdge.map(({ frame }) => frame));

  VECTORS.hostToEdge.forEach((vector, i) => {
    it(`writes ${vector.name}`, () => {
      const target = new Uint8Array(78);
      const end = encodeHostFrame(frames, i, vector.number, vector.ttlMs, target, viewOf(target), 0);
      assert.deepEqual(target.subarray(0, end), bytesOf(vector.bytes));
    });
  });

  it("reads them with heartbeats in between, in any split", () => {
    const heartbeat = bytesOf(VECTORS.hostControl[0]!.bytes);
    const bytes = Buffer.concat(VECTORS.hostToEdge.flatMap((vector) => [bytesOf(vector.bytes), heartbeat]));
    for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
      const heard = read(bytes, chunkBytes);
      assert.deepEqual(heard.rows, rowsOf(frames));
      assert.deepEqual(
        heard.numbers,
        VECTORS.hostToEdge.map(({ number }) => number),
      );
      assert.deepEqual(
        heard.ttls,
        VECTORS.hostToEdge.map(({ ttlMs }) => ttlMs),
      );
    }
  });

  it("writes the golden heartbeat and time of asking", () => {
    const [heartbeat, asked] = VECTORS.hostControl;
    assert.deepEqual(encodeHeartbeat(heartbeat!.clockUs!), bytesOf(heartbeat!.bytes));
    assert.deepEqual(clockItem(TAG_ASKED, asked!.edgeClockUs!), bytesOf(asked!.bytes));
  });

  it("tells of each frame when it was asked for, in any split", () => {
    const [a, b, c, d] = VECTORS.hostToEdge.map(({ bytes }) => bytesOf(bytes));
    const bytes = Buffer.concat([a!, clockItem(TAG_ASKED, 5), b!, c!, clockItem(TAG_ASKED, 7), d!]);
    for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
      const { rows, asked } = read(bytes, chunkBytes);
      assert.deepEqual(rows, rowsOf(frames));
      assert.deepEqual(asked, [undefined, 5, 5, 7]);
    }
  });

  for (const vector of VECTORS.refusedFromHost) {
    it(`ends at ${vector.name}`, () => {
      assert.throws(
        () => read(bytesOf(vector.bytes)),
        (error) => isCanfleetError(error, "WIRE_BAD_RECORD"),
      );
    });
  }
});

const anyFrame = fc.oneof(
  fc.record({
    idWord: fc.integer({ min: 0, max: 0x7ff }),
    data: fc.constantFrom(0, 3, 8, 12, 48, 64).chain((n) => fc.uint8Array({ minLength: n, maxLength: n })),
    flags: fc.constantFrom(1, 3, 5, 7, 9, 25),
  }),
  fc.record({
    idWord: fc.integer({ min: 0, max: 0x1fffffff }).map((id) => (id | 0x80000000) >>> 0),
    data: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    dlc: fc.integer({ min: 8, max: 15 }),
    flags: fc.constantFrom(0, 8, 24),
  }),
  fc.record({
    idWord: fc.integer({ min: 0, max: 0x7ff }).map((id) => id | 0x40000000),
    length: fc.integer({ min: 0, max: 8 }),
    flags: fc.constant(0),
  }),
);

describe("extended link, any frames", () => {
  it("gives back what was written, time and numbers too", () => {
    const timed = fc.record({
      frame: anyFrame,
      us: fc.nat({ max: 4_000_000_000_000 }),
      ns: fc.integer({ min: 0, max: 999 }),
    });
    fc.assert(
      fc.property(fc.array(timed, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 300 }), (all, chunk) => {
        const batch = FrameBatch.of(...all.map(({ frame, us }) => ({ ...frame, timestampUs: us })));
        all.forEach(({ ns }, i) => (batch.timestampNs[i] = ns));
        batch.epoch = 7;
        batch.seq = 1000;
        const heard = new HeardEdge().hear(encodeAll(new EdgeEncoder(), batch), chunk);
        assert.deepEqual(heard.rows, rowsOf(batch));
        assert.equal(heard.batches[0]!.seq, 1000);
      }),
      { numRuns: 200 },
    );
  });

  it("throws nothing but WIRE_BAD_RECORD for random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.integer({ min: 1, max: 100 }), (bytes, chunkBytes) => {
        const noFrames = { frames: () => undefined, result: () => undefined, clock: () => undefined };
        for (const stream of [new EdgeItemStream(noFrames), new HostItemStream(noFrames)]) {
          try {
            for (let at = 0; at < bytes.length; at += chunkBytes) stream.read(bytes.subarray(at, at + chunkBytes));
          } catch (error) {
            assert.ok(isCanfleetError(error, "WIRE_BAD_RECORD"));
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
