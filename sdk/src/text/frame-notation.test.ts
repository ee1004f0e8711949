import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { dlcOfLength } from "../can/dlc.ts";
import { FLAG_BRS, FLAG_ESI, FLAG_FD, FrameBatch, type FrameParts } from "../can/frame-batch.ts";
import { makeIdWord } from "../can/id.ts";
import { isCanfleetError, messageOf } from "../errors.ts";
import { appendFrameText, formatFrame, parseFrame } from "./frame-notation.ts";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

const FORMS: readonly [text: string, frame: FrameParts][] = [
  ["123#DEADBEEF", { idWord: 0x123, data: bytes(0xde, 0xad, 0xbe, 0xef), dlc: 4, flags: 0 }],
  ["7FF#", { idWord: 0x7ff, data: bytes(), dlc: 0, flags: 0 }],
  ["1F334455#", { idWord: 0x9f334455, data: bytes(), dlc: 0, flags: 0 }],
  ["00000123#11", { idWord: 0x80000123, data: bytes(0x11), dlc: 1, flags: 0 }],
  ["123#R", { idWord: 0x40000123, length: 0, dlc: 0, flags: 0 }],
  ["123#R4", { idWord: 0x40000123, length: 4, dlc: 4, flags: 0 }],
  ["1F334455#R8", { idWord: 0xdf334455, length: 8, dlc: 8, flags: 0 }],
  ["123#R8_F", { idWord: 0x40000123, length: 8, dlc: 15, flags: 0 }],
  ["123#1122334455667788_C", { idWord: 0x123, data: bytes(17, 34, 51, 68, 85, 102, 119, 136), dlc: 12, flags: 0 }],
  ["123##0", { idWord: 0x123, data: bytes(), dlc: 0, flags: FLAG_FD }],
  ["123##1AABB", { idWord: 0x123, data: bytes(0xaa, 0xbb), dlc: 2, flags: FLAG_FD | FLAG_BRS }],
  ["12345678##3FF", { idWord: 0x92345678, data: bytes(0xff), dlc: 1, flags: FLAG_FD | FLAG_BRS | FLAG_ESI }],
  ["20000004#0008000000000000", { idWord: 0x20000004, data: bytes(0, 8, 0, 0, 0, 0, 0, 0), dlc: 8, flags: 0 }],
];

describe("parseFrame", () => {
  for (const [text, frame] of FORMS) it(`reads ${text}`, () => assert.deepEqual(parseFrame(text), frame));

  it("takes dots between bytes, lower case and blanks around", () => {
    const frame = { idWord: 0x1ab, data: bytes(0x11, 0x22, 0xcc), dlc: 3, flags: 0 };
    for (const text of ["1AB#11.22.CC", "1ab#1122cc", "1AB#11.22.cc.", " 1AB#11.22CC\n"]) {
      assert.deepEqual(parseFrame(text), frame);
    }
  });

  it("fills a CAN FD payload up to the next length that exists, as cansend does", () => {
    const frame = parseFrame("123##0010203040506070809");
    assert.deepEqual(frame.data, bytes(1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0));
    assert.equal(frame.dlc, 9);
  });

  it("takes no notice of the FDF flag that newer kernels set", () => {
    assert.equal(parseFrame("123##5AA").flags, FLAG_FD | FLAG_BRS);
  });

  const refused = [
    ["", /3 or 8 hex digits/],
    ["123", /3 or 8 hex digits/],
    ["1234#11", /3 or 8 hex digits/],
    ["12G#11", /000 to 7FF/],
    ["800#", /000 to 7FF/],
    ["40000000#", /1FFFFFFF/],
    ["123#1", /pairs of hex digits/],
    ["123#GG", /pairs of hex digits/],
    ["123#112233445566778899", /up to 8 bytes/],
    ["123#11_C", /after 8 bytes/],
    ["123#1122334455667788_8", /_9 to _F/],
    ["123#R9", /R0 to R8/],
    ["123#R4_C", /R8_9/],
    ["123#RX", /R0 to R8/],
    ["123##", /flags digit/],
    ["123##111223", /up to 64 bytes/],
    ["123##0" + "00".repeat(65), /up to 64 bytes/],
    ["20000004#R", /error frame cannot be a remote/],
    ["20000004##0", /error frame cannot be a CAN FD/],
    ["123#11 22", /pairs of hex digits/],
  ] as const;
  for (const [text, wanted] of refused) {
    it(`refuses ${text.slice(0, 30)} and says what it wants`, () => {
      assert.throws(
        () => parseFrame(text),
        (error) => isCanfleetError(error, "TEXT_BAD_FRAME") && wanted.test(messageOf(error)),
      );
    });
  }
});

describe("formatFrame", () => {
  for (const [text, frame] of FORMS) {
    it(`writes ${text}`, () => assert.equal(formatFrame(FrameBatch.of(frame), 0), text));
  }

  it("writes what parseFrame reads back, for any frame", () => {
    fc.assert(
      fc.property(anyFrame(), (frame) => {
        const { length, ...rest } = parseFrame(formatFrame(FrameBatch.of(frame), 0));
        assert.deepEqual(length === undefined ? rest : { ...rest, length }, frame);
      }),
    );
  });
});

describe("appendFrameText", () => {
  it("never reads beyond the end it was given and never half-adds a frame", () => {
    const batch = new FrameBatch(4);
    assert.equal(appendFrameText(batch, "xx123#1122yy", 2, 10), undefined);
    assert.equal(formatFrame(batch, 0), "123#1122");
    assert.notEqual(appendFrameText(batch, "123#1122", 0, 7), undefined);
    assert.notEqual(appendFrameText(batch, "123#1122", 0, 3), undefined);
    assert.equal(batch.count, 1);
  });

  it("answers any text with a frame or a sentence", () => {
    const batch = new FrameBatch(1);
    const alphabet = fc.constantFrom(..."0123456789ABCDEFabcdefR#._ GT".split(""));
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 150 }), (text) => {
        batch.clear();
        const wanted = appendFrameText(batch, text);
        assert.equal(batch.count, wanted === undefined ? 1 : 0);
        if (wanted === undefined) assert.equal(parseFrame(formatFrame(batch, 0)).idWord, batch.idWord[0]);
      }),
    );
  });
});

function anyFrame(): fc.Arbitrary<FrameParts> {
  const id = fc
    .boolean()
    .chain((extended) => fc.nat(extended ? 0x1fffffff : 0x7ff).map((arbitrationId) => ({ arbitrationId, extended })));
  const payload = (lengths: number[]): fc.Arbitrary<Uint8Array> =>
    fc.constantFrom(...lengths).chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
  const classic = fc.record({ id, data: payload([0, 1, 2, 3, 4, 5, 6, 7, 8]), rawDlc: fc.nat(15) });
  const fd = fc.record({ id, data: payload([0, 1, 7, 8, 12, 16, 20, 24, 32, 48, 64]), bits: fc.nat(3) });
  const remote = fc.record({ id, length: fc.nat(8) });
  return fc.oneof(
    classic.map(({ id, data, rawDlc }) => ({
      idWord: makeIdWord(id.arbitrationId, id.extended),
      data,
      dlc: data.length === 8 && rawDlc > 8 ? rawDlc : data.length,
      flags: 0,
    })),
    fd.map(({ id, data, bits }) => ({
      idWord: makeIdWord(id.arbitrationId, id.extended),
      data,
      dlc: dlcOfLength(data.length),
      flags: FLAG_FD | (bits << 1),
    })),
    remote.map(({ id, length }) => ({
      idWord: makeIdWord(id.arbitrationId, id.extended, "remote"),
      length,
      dlc: length,
      flags: 0,
    })),
  );
}
