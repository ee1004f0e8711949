import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FLAG_BRS, FLAG_ESI, FLAG_FD, FLAG_OWN, FrameBatch } from "../can/frame-batch.ts";
import { isCanfleetError, messageOf } from "../errors.ts";
import { appendLogLine, formatDropLine, formatLogLine, parseDropLine } from "./candump.ts";

/** Printed by candump of can-utils 2020.11 on a vcan, FD flags without the FDF bit that depends on the kernel. */
const PRINTED = `\
(1795420971.582194) vcan0 123#1122
(1795420971.593889) vcan0 123#R
(1795420971.604066) vcan0 123#R5
(1795420971.628128) vcan0 123#
(1795420971.638531) vcan0 123##1
(1795420971.648925) vcan0 123##31122334455667788AABBCCDD
(1795420971.658697) vcan0 123##0112233
(1795420971.670775) vcan0 1F334455#1122334455667788
(1795420971.681001) vcan0 20000004#0008000000000000
(1795420971.706990) vcan0 123#41420030
(1795420971.719056) vcan0 1F334455#R8
(1795420971.776100) vcan0 1F334455##2112233445566778899AABBCCDDEEFF00
(0000000000.000001) vcan0 123#1122334455667788_C`.split("\n");

const one = (line: string): FrameBatch => {
  const batch = new FrameBatch(1);
  assert.notEqual(appendLogLine(batch, line), undefined);
  return batch;
};

describe("appendLogLine", () => {
  it("reads each form that candump prints, and formatLogLine prints it again", () => {
    for (const line of PRINTED) {
      const batch = new FrameBatch(1);
      assert.equal(appendLogLine(batch, line), "vcan0");
      assert.equal(formatLogLine(batch, 0, "vcan0"), line);
    }
  });

  it("reads time, id, payload and flags into the columns", () => {
    const batch = one("(1700000000.654321987) can0 1F334455##3AABB T");
    assert.equal(batch.timestampUs[0], 1700000000654321);
    assert.equal(batch.timestampNs[0], 987);
    assert.equal(batch.idWord[0], 0x9f334455);
    assert.equal(batch.length[0], 2);
    assert.equal(batch.dlc[0], 2);
    assert.equal(batch.flags[0], FLAG_FD | FLAG_BRS | FLAG_ESI | FLAG_OWN);
    assert.deepEqual(batch.payload(0), Uint8Array.of(0xaa, 0xbb));
  });

  it("keeps every microsecond and nanosecond of a time", () => {
    const seconds = fc.oneof(fc.nat(), fc.nat(9007199253));
    fc.assert(
      fc.property(seconds, fc.nat(999999), fc.nat(999), (s, us, ns) => {
        const decimals = String(us).padStart(6, "0") + String(ns).padStart(3, "0");
        const line = `(${String(s).padStart(10, "0")}.${decimals}) can0 123#`;
        assert.equal(BigInt(one(line).timestampUs[0]!), BigInt(s) * 1000000n + BigInt(us));
        assert.equal(formatLogLine(one(line), 0, "can0", { ns: true }), line);
      }),
    );
  });

  it("takes R and T at the end, padded names, tabs and any line end", () => {
    assert.equal(one("(1700000000.654321) can0 123#11 R").flags[0], 0);
    assert.equal(one("(1700000000.654321) can0 123#11 T\r\n").flags[0], FLAG_OWN);
    const batch = new FrameBatch(2);
    assert.equal(appendLogLine(batch, "(1700000000.654321)      vcan0 123#11\n"), "vcan0");
    assert.equal(appendLogLine(batch, "(1.000000)\ttruck-07-can0\t123#11"), "truck-07-can0");
    assert.equal(batch.count, 2);
  });

  it("passes over lines that are not meant to be frames", () => {
    const batch = new FrameBatch(1);
    for (const line of ["", "\n", "# comment", " (1.000000) can0 1#", "DROPCOUNT: dropped 1 CAN frame"]) {
      assert.equal(appendLogLine(batch, line), undefined);
    }
    assert.equal(batch.count, 0);
  });

  const refused = [
    ["(1700000000.65432) can0 123#11", /6 or 9 decimals/],
    ["(1700000000.6543210) can0 123#11", /6 or 9 decimals/],
    ["(1700000000) can0 123#11", /6 or 9 decimals/],
    ["(.654321) can0 123#11", /6 or 9 decimals/],
    ["(17x.654321) can0 123#11", /6 or 9 decimals/],
    ["(99999999999.654321) can0 123#11", /6 or 9 decimals/],
    ["(1700000000.654321", /6 or 9 decimals/],
    ["(2023-11-14 22:13:20.654321) can0 123#11", /6 or 9 decimals/],
    ["(1700000000.654321) can0", /interface name and a frame/],
    ["(1700000000.654321)", /interface name and a frame/],
    ["(1700000000.654321) can0 123", /3 or 8 hex digits/],
    ["(1700000000.654321) can0 123#1", /pairs of hex digits/],
    ["(1700000000.654321) can0 45123#81:00:12345678#11", /3 or 8 hex digits/],
    ["(1700000000.654321) can0 123#11 X", /R or T/],
    ["(1700000000.654321) can0 123#11 22", /R or T/],
  ] as const;
  for (const [line, wanted] of refused) {
    it(`refuses ${line}`, () => {
      const batch = new FrameBatch(1);
      assert.throws(
        () => appendLogLine(batch, line),
        (error) => isCanfleetError(error, "TEXT_BAD_LINE") && wanted.test(messageOf(error)),
      );
      assert.equal(batch.count, 0);
    });
  }
});

describe("formatLogLine", () => {
  it("tells the direction and nanoseconds where asked", () => {
    const batch = one("(1700000000.654321007) can0 123#11 T");
    assert.equal(formatLogLine(batch, 0, "can0"), "(1700000000.654321) can0 123#11");
    assert.equal(formatLogLine(batch, 0, "can0", { direction: true }), "(1700000000.654321) can0 123#11 T");
    batch.flags[0] = 0;
    const both = formatLogLine(batch, 0, "can0", { direction: true, ns: true });
    assert.equal(both, "(1700000000.654321007) can0 123#11 R");
  });
});

describe("drop lines", () => {
  it("are read and written as candump writes them", () => {
    const many = "DROPCOUNT: dropped 12 CAN frames on 'can0' socket (total drops 345)";
    const single = "DROPCOUNT: dropped 1 CAN frame on 'can0' socket (total drops 346)";
    assert.deepEqual(parseDropLine(`${many}\n`), { channel: "can0", dropped: 12, total: 345 });
    assert.deepEqual(parseDropLine(single), { channel: "can0", dropped: 1, total: 346 });
    for (const line of [many, single]) assert.equal(formatDropLine(parseDropLine(line)!), line);
  });

  it("are not made up from other lines", () => {
    for (const line of ["DROPCOUNT: dropped x CAN frames", "dropped 12 CAN frames", PRINTED[0]!]) {
      assert.equal(parseDropLine(line), undefined);
    }
  });
});
