import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameBatch, type Losses } from "../can/frame-batch.ts";
import { isCanfleetError } from "../errors.ts";
import { HostRecordStream } from "./host-record-stream.ts";
import { encodeHello, encodeRecords, encodeSignal, type RecordForm, type RecordSize } from "./record.ts";
import { RecordStream } from "./record-stream.ts";
import { rowsOf } from "./wire-tcp.suite.ts";

const NOW_US = 1_700_000_000_000_000;
const SIZES: RecordSize[] = [29, 21, 13];

/** Frames as a bus gives them: growing times, ids and payloads that differ. */
function busTraffic(count: number): FrameBatch {
  const batch = new FrameBatch(count);
  for (let i = 0; i < count; i++) {
    const idWord = i % 3 === 0 ? (0x98da0000 | i) >>> 0 : 0x100 + (i % 0x600);
    const data = Uint8Array.from({ length: 8 - (i % 3) }, (_, n) => 255 - ((i + n) & 63));
    batch.push({ timestampUs: NOW_US + i * 250, idWord, data });
  }
  return batch;
}

function recordsOf(batch: FrameBatch, size: RecordSize): Uint8Array {
  const bytes = new Uint8Array(batch.count * size);
  return bytes.subarray(0, encodeRecords(batch, size, bytes).bytes);
}

class Heard {
  readonly rows: object[] = [];
  readonly lost: (Losses | undefined)[] = [];
  greetings = 0;
  rest: Uint8Array | undefined;
  readonly stream: RecordStream;

  constructor(record: RecordForm) {
    this.stream = new RecordStream(
      record,
      {
        frames: (batch) => {
          this.rows.push(...rowsOf(batch));
          this.lost.push(batch.lost);
        },
        greeting: () => this.greetings++,
        challenge: () => assert.fail("a challenge"),
        accept: (rest) => (this.rest = rest),
      },
      () => NOW_US,
    );
  }

  hear(bytes: Uint8Array, chunkBytes: number): this {
    for (let at = 0; at < bytes.length; at += chunkBytes) this.stream.read(bytes.subarray(at, at + chunkBytes));
    return this;
  }
}

function rowsAs(batch: FrameBatch, size: RecordSize): object[] {
  const rows = batch.clone();
  if (size === 13) rows.timestampUs.fill(NOW_US);
  return rowsOf(rows);
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

describe("record stream", () => {
  const traffic = busTraffic(9);

  for (const size of SIZES) {
    it(`finds ${size}-byte records from the bytes, whatever the split`, () => {
      const bytes = recordsOf(traffic, size);
      for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
        const heard = new Heard("auto").hear(bytes, chunkBytes);
        assert.equal(heard.stream.size, size);
        assert.equal(heard.stream.skippedBytes, 0);
        assert.deepEqual(heard.rows, rowsAs(traffic, size));
      }
    });

    it(`takes a single ${size}-byte record once the line is quiet`, () => {
      const heard = new Heard("auto").hear(recordsOf(busTraffic(1), size), 5);
      assert.equal(heard.rows.length, 0);
      assert.ok(heard.stream.isUndecided);
      heard.stream.quiet();
      assert.deepEqual(heard.rows, rowsAs(busTraffic(1), size));
      assert.equal(heard.stream.isUndecided, false);
    });

    it(`takes the first ${size}-byte record at once when told the size`, () => {
      assert.deepEqual(new Heard(size).hear(recordsOf(busTraffic(1), size), 99).rows, rowsAs(busTraffic(1), size));
    });

    it(`finds ${size}-byte records again after rubbish, and tells the loss`, () => {
      const rubbish = new Uint8Array(40).fill(0x0f);
      const bytes = concat(recordsOf(traffic, size), rubbish, recordsOf(traffic, size));
      for (const chunkBytes of [1, 7, bytes.length]) {
        const heard = new Heard(size).hear(bytes, chunkBytes);
        heard.stream.quiet();
        assert.deepEqual(heard.rows, [...rowsAs(traffic, size), ...rowsAs(traffic, size)]);
        assert.equal(heard.stream.skippedBytes, 40);
        assert.deepEqual(
          heard.lost.filter((lost) => lost !== undefined),
          [{ link: null }],
        );
      }
    });
  }

  it("keeps the order when hundreds of thousands come in one piece", () => {
    const many = busTraffic(10_000);
    const heard = new Heard("auto").hear(recordsOf(many, 21), 65_536);
    assert.deepEqual(heard.rows, rowsAs(many, 21));
  });

  it("hears the greeting, frames in between, and hands on what follows the accept", () => {
    const rest = Uint8Array.of(128, 1, 2, 3);
    const bytes = concat(
      encodeSignal("greeting", NOW_US),
      recordsOf(traffic, 21),
      encodeSignal("accept", NOW_US),
      rest,
    );
    for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
      const heard = new Heard("auto");
      let after = Buffer.alloc(0);
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const chunk = bytes.subarray(at, at + chunkBytes);
        if (heard.rest) after = Buffer.concat([after, chunk]);
        else heard.stream.read(chunk);
      }
      assert.equal(heard.greetings, 1);
      assert.deepEqual(heard.rows, rowsAs(traffic, 21));
      assert.deepEqual(Buffer.concat([heard.rest!, after]), Buffer.from(rest));
    }
  });

  it("takes a greeting for a frame when it is not the first record", () => {
    const heard = new Heard("auto").hear(concat(recordsOf(traffic, 21), encodeSignal("greeting", NOW_US)), 500);
    assert.equal(heard.greetings, 0);
    assert.equal((heard.rows.at(-1) as { idWord: number }).idWord, 0x20000000);
  });

  it("passes over the greeting when it was told the size", () => {
    const heard = new Heard(21).hear(concat(encodeSignal("greeting", NOW_US), recordsOf(traffic, 21)), 500);
    assert.equal(heard.greetings, 0);
    assert.deepEqual(heard.rows, rowsAs(traffic, 21));
  });

  it("never throws and never grows for random bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
        const heard = new Heard("auto");
        for (const chunk of chunks) {
          heard.stream.read(chunk);
          heard.stream.quiet();
        }
        const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        assert.ok(heard.rows.length * 13 + heard.stream.skippedBytes <= total);
      }),
      { numRuns: 300 },
    );
  });

  it("gives back what was written", () => {
    const frame = fc.record({
      timestampUs: fc.integer({ min: 0, max: 0xffffffff }).map((seconds) => seconds * 1_000_000 + 999_999),
      idWord: fc.oneof(
        fc.integer({ min: 0, max: 0x7ff }),
        fc.integer({ min: 0, max: 0x1fffffff }).map((id) => (id | 0x80000000) >>> 0),
        fc.integer({ min: 0, max: 0x7ff }).map((id) => id | 0x40000000),
        fc.integer({ min: 0, max: 0x1fffffff }).map((id) => id | 0x20000000),
      ),
      data: fc.uint8Array({ maxLength: 8 }),
    });
    const anySize = fc.constantFrom(...SIZES);
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1 }),
        anySize,
        fc.integer({ min: 1, max: 99 }),
        (frames, size, chunk) => {
          const parts = frames.map((one) =>
            (one.idWord & 0x60000000) === 0x40000000 ? { ...one, data: new Uint8Array(0) } : one,
          );
          const batch = FrameBatch.of(...parts);
          assert.deepEqual(new Heard(size).hear(recordsOf(batch, size), chunk).rows, rowsAs(batch, size));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("host record stream", () => {
  function read(
    bytes: Uint8Array,
    chunkBytes: number,
    mayUpgrade = true,
  ): { rows: object[]; rest: Uint8Array | undefined } {
    const heard: { rows: object[]; rest: Uint8Array | undefined } = { rows: [], rest: undefined };
    const stream = new HostRecordStream(
      { frames: (batch) => heard.rows.push(...rowsOf(batch)), hello: (rest) => (heard.rest = rest) },
      mayUpgrade,
    );
    for (let at = 0; at < bytes.length && !heard.rest; at += chunkBytes) {
      stream.read(bytes.subarray(at, at + chunkBytes));
    }
    return heard;
  }

  const traffic = busTraffic(6);
  const wanted = busTraffic(6);
  wanted.timestampUs.fill(0);

  it("reads records in any split", () => {
    const bytes = recordsOf(traffic, 13);
    for (let chunkBytes = 1; chunkBytes <= bytes.length; chunkBytes++) {
      assert.deepEqual(read(bytes, chunkBytes).rows, rowsOf(wanted));
    }
  });

  it("hands on what follows the hello", () => {
    const bytes = concat(recordsOf(traffic, 13), encodeHello(), Uint8Array.of(1, 2));
    const heard = read(bytes, bytes.length);
    assert.deepEqual(heard.rows, rowsOf(wanted));
    assert.deepEqual([...heard.rest!], [1, 2]);
  });

  it("takes remote frames without their last zeros, as the Python TCPBus writes them", () => {
    const hex = "0001000001aa00000000000000" + "2103004004" + "00000000" + "0002000001bb00000000000000" + "2203004008";
    const rows: object[] = [];
    const stream = new HostRecordStream(
      { frames: (batch) => rows.push(...rowsOf(batch)), hello: () => assert.fail() },
      true,
    );
    stream.read(Buffer.from(hex, "hex"));
    assert.ok(stream.isUndecided);
    stream.quiet();
    const wanted = FrameBatch.of(
      { idWord: 0x100, data: Uint8Array.of(0xaa) },
      { idWord: 0x40000321, length: 4 },
      { idWord: 0x200, data: Uint8Array.of(0xbb) },
      { idWord: 0x40000322, length: 8 },
    );
    assert.deepEqual(rows, rowsOf(wanted));
    assert.equal(stream.isUndecided, false);
  });

  for (const follower of [
    "00010000" + "08" + "0011223344556677",
    "00000000" + "02" + "8101000000000000",
    "21030040" + "03" + "00".repeat(8),
  ]) {
    for (let dlc = 1; dlc <= 8; dlc++) {
      const remote = `210300400${dlc}`;
      const frames = [remote + "00".repeat(8), follower];
      const wanted = hexFrames(frames);
      it(`takes a whole remote frame of DLC ${dlc} before ${follower} for one, wherever the line is quiet`, () => {
        const bytes = Buffer.from(frames.join(""), "hex");
        for (let at = 1; at < bytes.length; at++) {
          const rows = rowsWithQuiet([bytes.subarray(0, at), bytes.subarray(at)]);
          assert.deepEqual(rows, wanted, `quiet after ${at} bytes`);
        }
        for (let at = 1; at < 13; at++) {
          const parts = [bytes.subarray(0, at), bytes.subarray(at, 13), bytes.subarray(13)];
          assert.deepEqual(rowsWithQuiet(parts), wanted, `quiet after ${at} and 13 bytes`);
        }
      });

      it(`takes a short remote frame of DLC ${dlc} before ${follower} for one when the line was quiet behind it`, () => {
        const short = Buffer.from(remote + "00".repeat(8 - dlc), "hex");
        assert.deepEqual(rowsWithQuiet([short, Buffer.from(follower, "hex")]), wanted);
      });
    }
  }

  it("refuses what can be late zeros and a frame of the id 0 alike", () => {
    const zeros = Buffer.alloc(21);
    assert.throws(
      () => rowsWithQuiet([Buffer.from("2103004008", "hex"), zeros]),
      (error) => isCanfleetError(error, "WIRE_BAD_RECORD"),
    );
  });

  it("waits for the rest of a data frame, however quiet", () => {
    const rows: object[] = [];
    const stream = new HostRecordStream(
      { frames: (batch) => rows.push(...rowsOf(batch)), hello: () => assert.fail() },
      true,
    );
    stream.read(recordsOf(busTraffic(1), 13).subarray(0, 12));
    stream.quiet();
    assert.equal(rows.length, 0);
    stream.read(recordsOf(busTraffic(1), 13).subarray(12));
    assert.equal(rows.length, 1);
  });

  function rowsWithQuiet(chunks: Uint8Array[]): object[] {
    const rows: object[] = [];
    const sink = { frames: (batch: FrameBatch) => rows.push(...rowsOf(batch)), hello: () => assert.fail() };
    const stream = new HostRecordStream(sink, true);
    for (const chunk of chunks) {
      stream.read(chunk);
      if (stream.isUndecided) stream.quiet();
    }
    return rows;
  }

  function hexFrames(records: string[]): object[] {
    return records.flatMap((record) => rowsWithQuiet([Buffer.from(record, "hex")]));
  }

  it("hands out nothing but frames that may be sent, whatever comes", () => {
    const bytes = fc.uint8Array({ maxLength: 120 }).map((random) => random.map((byte) => (byte > 60 ? 0 : byte)));
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 10 }), (chunks) => {
        const stream = new HostRecordStream(
          {
            frames: (batch) => {
              for (let i = 0; i < batch.count; i++) {
                assert.ok(!batch.isError(i) && batch.length[i]! <= 8);
              }
            },
            hello: () => assert.fail(),
          },
          true,
        );
        try {
          for (const chunk of chunks) {
            stream.read(chunk);
            stream.quiet();
          }
        } catch (error) {
          assert.ok(isCanfleetError(error, "WIRE_BAD_RECORD"));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("refuses a hello that no greeting asked for", () => {
    assert.throws(
      () => read(encodeHello(), 13, false),
      (error) => isCanfleetError(error, "WIRE_BAD_RECORD"),
    );
  });

  for (const [name, bad] of [
    ["an error frame", Uint8Array.of(4, 0, 0, 0x20, 8, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["DLC 9", Uint8Array.of(4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["an id of 12 bits in base format", Uint8Array.of(0, 8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["a TLS hello", Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0)],
  ] as const) {
    it(`refuses ${name}, and everything that came with it`, () => {
      const rows: object[] = [];
      const stream = new HostRecordStream(
        { frames: (batch) => rows.push(...rowsOf(batch)), hello: () => assert.fail() },
        true,
      );
      assert.throws(
        () => stream.read(concat(recordsOf(traffic, 13), bad)),
        (error) => isCanfleetError(error, "WIRE_BAD_RECORD"),
      );
      assert.deepEqual(rows, []);
    });
  }
});
