import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { lengthOfDlc } from "./dlc.ts";
import { BitCounter } from "./frame-bits.ts";
import { FLAG_BRS, FLAG_ESI, FLAG_FD, FrameBatch, type FrameParts } from "./frame-batch.ts";
import { EFF_FLAG, ERR_FLAG, MAX_EXTENDED_ID, MAX_STANDARD_ID, RTR_FLAG } from "./id.ts";

/** What a single classic frame may be off by. */
const MAX_ERROR_BITS = 4;
/** What the mean over many frames may be off by. */
const MAX_MEAN_ERROR_BITS = 0.05;

function count(...frames: FrameParts[]): { nominal: number; data: number; frames: number } {
  const counter = new BitCounter();
  counter.add(FrameBatch.of(...frames));
  const { nominal, data } = counter;
  return { nominal, data, frames: counter.frames };
}

// A model that lays out every bit and stuffs as a controller does, after the tables of ISO 11898-1.

type Bits = number[];

const bitsOf = (value: number, width: number): Bits =>
  Array.from({ length: width }, (_, i) => Math.floor(value / 2 ** (width - 1 - i)) & 1);

/** CRC-15/CAN: polynomial 0x4599, begins with 0. */
function crc15(bits: Bits): number {
  let crc = 0;
  for (const bit of bits) {
    const invert = bit ^ (crc >> 14);
    crc = ((crc << 1) & 0x7fff) ^ (invert ? 0x4599 : 0);
  }
  return crc;
}

/** Places in front of which a stuff bit is put; `bits.length` for one behind the last. */
function stuffPlaces(bits: Bits): number[] {
  const places: number[] = [];
  let last = -1;
  let run = 0;
  bits.forEach((bit, i) => {
    run = bit === last ? run + 1 : 1;
    last = bit;
    if (run < 5) return;
    places.push(i + 1);
    last = 1 - bit;
    run = 1;
  });
  return places;
}

function classicBits(frame: FrameBatch): number {
  const idWord = frame.idWord[0]!;
  const rtr = idWord & RTR_FLAG ? 1 : 0;
  const header =
    idWord & EFF_FLAG
      ? [0, ...bitsOf((idWord >> 18) & 0x7ff, 11), 1, 1, ...bitsOf(idWord & 0x3ffff, 18), rtr, 0, 0]
      : [0, ...bitsOf(idWord & 0x7ff, 11), rtr, 0, 0];
  const bits = [...header, ...bitsOf(frame.dlc[0]!, 4), ...[...frame.payload(0)].flatMap((byte) => bitsOf(byte, 8))];
  const withCrc = [...bits, ...bitsOf(crc15(bits), 15)];
  return withCrc.length + stuffPlaces(withCrc).length + "d".length + "as".length + 7 + 3;
}

function fdBits(frame: FrameBatch): { nominal: number; data: number } {
  const idWord = frame.idWord[0]!;
  const flags = frame.flags[0]!;
  const brs = flags & FLAG_BRS ? 1 : 0;
  const arbitration =
    idWord & EFF_FLAG
      ? [0, ...bitsOf((idWord >> 18) & 0x7ff, 11), 1, 1, ...bitsOf(idWord & 0x3ffff, 18), 0, 1, 0, brs]
      : [0, ...bitsOf(idWord & 0x7ff, 11), 0, 0, 1, 0, brs];
  const payload = [...frame.payload(0)].flatMap((byte) => bitsOf(byte, 8));
  const bits = [...arbitration, flags & FLAG_ESI ? 1 : 0, ...bitsOf(frame.dlc[0]!, 4), ...payload];
  const places = stuffPlaces(bits).filter((place) => place < bits.length);
  const slow = places.filter((place) => place < arbitration.length).length;
  const checked = 4 + (payload.length > 16 * 8 ? 21 : 17);
  const fixed = 1 + Math.floor(checked / 4);
  const nominal = arbitration.length + slow + 2 + 7 + 3;
  const data = bits.length - arbitration.length + places.length - slow + checked + fixed + 1;
  return brs ? { nominal, data } : { nominal: nominal + data, data: 0 };
}

const arbitraryId = fc.oneof(
  fc.integer({ min: 0, max: MAX_STANDARD_ID }),
  fc.integer({ min: 0, max: MAX_EXTENDED_ID }).map((id) => (id | EFF_FLAG) >>> 0),
);

/** Bytes as they are on buses: random ones, and the long runs of equal bits that stuffing is about. */
const arbitraryBytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0xff, 0x0f, 0x1f, 0x83)), {
      minLength: length,
      maxLength: length,
    })
    .map((bytes) => Uint8Array.from(bytes));

const arbitraryClassic = fc.tuple(arbitraryId, fc.integer({ min: 0, max: 15 }), fc.boolean()).chain(([id, dlc, rtr]) =>
  arbitraryBytes(rtr ? 0 : lengthOfDlc(dlc, false)).map((data) => {
    const idWord = rtr ? (id | RTR_FLAG) >>> 0 : id;
    return FrameBatch.of({ idWord, data, dlc, length: lengthOfDlc(dlc, false) });
  }),
);

const arbitraryFd = fc
  .tuple(arbitraryId, fc.integer({ min: 0, max: 15 }), fc.constantFrom(0, FLAG_BRS, FLAG_ESI, FLAG_BRS | FLAG_ESI))
  .chain(([idWord, dlc, flags]) =>
    arbitraryBytes(lengthOfDlc(dlc, true)).map((data) => FrameBatch.of({ idWord, data, dlc, flags: flags | FLAG_FD })),
  );

describe("bits of a frame", () => {
  it("the model's CRC is CRC-15/CAN: its check value over 123456789 is 0x59E", () => {
    const bits = [...Buffer.from("123456789")].flatMap((digit) => bitsOf(digit, 8));
    assert.equal(crc15(bits), 0x59e);
  });

  it("the model never exceeds the known worst cases, 55 + 10n and 80 + 10n bits", () => {
    // Davis, Burns, Bril, Lukkien: Controller Area Network (CAN) schedulability analysis, 2007, equations 1 and 2.
    fc.assert(
      fc.property(arbitraryClassic, (frame) => {
        const base = frame.idWord[0]! & EFF_FLAG ? 80 : 55;
        assert.ok(classicBits(frame) <= base + 10 * frame.payload(0).length);
      }),
    );
  });

  it("are 111 and 131 for 8 bytes besides the stuff bits", () => {
    // 10101010 has no runs; the ids neither. 0.5 is room for the stuff bits to be expected in the CRC.
    const data = new Uint8Array(8).fill(0x55);
    const base = count({ idWord: 0x555, data });
    const extended = count({ idWord: EFF_FLAG | 0x0aaaaaaa, data });
    assert.ok(base.nominal >= 111 && base.nominal < 111.5, `${base.nominal}`);
    assert.ok(extended.nominal >= 131 && extended.nominal < 131.5, `${extended.nominal}`);
    assert.deepEqual([base.data, base.frames], [0, 1]);
  });

  it("grow by a stuff bit after every five dominant bits", () => {
    // 1 + 11 + 3 dominant bits up to DLC 8, which is a recessive one and 3 dominant; 64 more: 3 and 13 stuff bits.
    const frame = FrameBatch.of({ idWord: 0, data: new Uint8Array(8) });
    assert.ok(classicBits(frame) >= 111 + 16);
    const { nominal } = count({ idWord: 0, data: new Uint8Array(8) });
    assert.ok(nominal >= 111 + 16 && nominal < 111 + 16 + MAX_ERROR_BITS, `${nominal}`);
  });

  it("of a classic frame are within 4 of the exact number", () => {
    fc.assert(
      fc.property(arbitraryClassic, (frame) => {
        const counter = new BitCounter();
        counter.add(frame);
        assert.ok(Math.abs(counter.nominal - classicBits(frame)) < MAX_ERROR_BITS);
        assert.equal(counter.data, 0);
      }),
      { numRuns: 2000 },
    );
  });

  it("of many classic frames have the exact mean, to a twentieth of a bit", () => {
    const counter = new BitCounter();
    let exact = 0;
    // The same frames in every run: a mean is no place for chance.
    let state = 1;
    const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 8;
    for (let n = 0; n < 20_000; n++) {
      const idWord = n % 2 ? random() & 0x7ff : (EFF_FLAG | (random() << 5)) >>> 0;
      const frame = FrameBatch.of({ idWord, data: Uint8Array.from({ length: 8 }, () => random() & random() & 0xff) });
      counter.add(frame);
      exact += classicBits(frame);
    }
    assert.equal(counter.frames, 20_000);
    assert.ok(Math.abs(counter.nominal - exact) / 20_000 < MAX_MEAN_ERROR_BITS, `${counter.nominal} for ${exact}`);
  });

  it("of a CAN FD frame are exact, at both bit rates", () => {
    fc.assert(
      fc.property(arbitraryFd, (frame) => {
        const counter = new BitCounter();
        counter.add(frame);
        assert.deepEqual({ nominal: counter.nominal, data: counter.data }, fdBits(frame));
      }),
      { numRuns: 2000 },
    );
  });

  it("of CAN FD frames without runs are the sums of linux/can/length.h", () => {
    // Header 22 or 41, CRC field 28 or 33, ACK and end of frame 9, intermission 3.
    const alternating = (length: number): Uint8Array => new Uint8Array(length).fill(0x55);
    const bits = (idWord: number, length: number, flags: number): object =>
      count({ idWord, data: alternating(length), flags: FLAG_FD | flags });
    assert.deepEqual(bits(0x555, 16, 0), { nominal: 22 + 128 + 28 + 9 + 3, data: 0, frames: 1 });
    assert.deepEqual(bits(0x555, 64, 0), { nominal: 22 + 512 + 33 + 9 + 3, data: 0, frames: 1 });
    assert.deepEqual(bits(EFF_FLAG | 0x0aaaaaaa, 64, 0), { nominal: 41 + 512 + 33 + 9 + 3, data: 0, frames: 1 });
    // BRS moves ESI, DLC, data and the CRC field to the other rate.
    assert.deepEqual(bits(0x555, 64, FLAG_BRS), { nominal: 17 + 9 + 3, data: 5 + 512 + 33, frames: 1 });
  });

  it("are none for error frames, and add up over rows until they are cleared", () => {
    const counter = new BitCounter();
    const batch = FrameBatch.of(
      { idWord: 0x100 },
      { idWord: ERR_FLAG | 4, data: new Uint8Array(8) },
      { idWord: 0x200 },
    );
    counter.add(batch, 0, 1);
    const first = counter.nominal;
    counter.add(batch, 1, 2);
    assert.deepEqual([counter.nominal, counter.frames], [first, 1]);
    counter.add(batch, 2);
    assert.equal(counter.frames, 2);
    assert.ok(counter.nominal > first);
    counter.clear();
    assert.deepEqual([counter.nominal, counter.data, counter.frames], [0, 0, 0]);
  });
});
