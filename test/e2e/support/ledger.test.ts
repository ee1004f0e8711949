import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch } from "@canfleet/sdk";
import { ofBatch, ofCanUtils, ofLogLine, ofStranger } from "./frame-text.ts";
import { assertSame, firstDifference, Ledger } from "./ledger.ts";

describe("the frames' common notation", () => {
  it("is the same from a batch, from can-utils and from the stranger", () => {
    const batch = FrameBatch.of(
      { idWord: 0x123, data: Uint8Array.of(0xab, 0xcd) },
      { idWord: 0x80000012, data: new Uint8Array(8), dlc: 14 },
      { idWord: 0x40000321, length: 5 },
      { idWord: 0x7ff, data: new Uint8Array(12), flags: 1 | 2 | 4 },
      { idWord: 0x20000004, data: new Uint8Array(8) },
    );
    const zeros = "00".repeat(8);
    const texts = ["123#ABCD", `00000012#${zeros}_E`, "321#R5", `7FF##3${"00".repeat(12)}`, `20000004#${zeros}`];
    const strangers = [
      "0 1 00000123 0 2 ABCD",
      `1 1 80000012 0 14 ${zeros}`,
      "2 1 40000321 0 5 -",
      `3 1 000007FF 7 9 ${"00".repeat(12)}`,
      `4 1 20000004 0 8 ${zeros}`,
    ];
    for (let i = 0; i < batch.count; i++) {
      assert.equal(ofCanUtils(texts[i]!), ofBatch(batch, i));
      assert.equal(ofStranger(strangers[i]!).frame, ofBatch(batch, i));
    }
  });

  it("reads times of 6 and 9 decimals and passes over other lines", () => {
    assert.deepEqual(ofLogLine("(1700000000.654321) can0 123#11"), {
      timestampUs: 1700000000654321,
      channel: "can0",
      frame: "00000123:0:1:11",
    });
    assert.equal(ofLogLine("(1.000002003) vcan0 123# T")?.timestampUs, 1_000_002);
    assert.equal(ofLogLine("DROPCOUNT: dropped 3 CAN frames"), undefined);
  });
});

describe("the ledger", () => {
  it("finds a frame that is missing, changed, doubled or at the wrong place", () => {
    const produced = ["a", "b", "c", "d"];
    assert.equal(firstDifference(produced, ["a", "b", "c", "d"]), undefined);
    assert.match(firstDifference(produced, ["a", "c", "d"]) ?? "", /^frame 1:/);
    assert.match(firstDifference(produced, ["a", "b", "c"]) ?? "", /^frame 3:/);
    assert.match(firstDifference(produced, ["a", "b", "x", "d"]) ?? "", /^frame 2:/);
    assert.match(firstDifference(produced, ["a", "b", "b", "c", "d"]) ?? "", /^frame 2:/);
    assert.match(firstDifference(produced, ["a", "b", "c", "d", "d"]) ?? "", /^frame 4:/);
    assert.match(firstDifference(produced, ["a", "c", "b", "d"]) ?? "", /^frame 1:/);
  });

  it("does not accept a loss that was told, nor time that goes back", () => {
    const told = new Ledger("told");
    told.addStrangerLine("LOST kernel 1");
    assert.throws(() => assertSame([], told));
    const back = new Ledger("back");
    back.add("a", 2);
    back.add("b", 1);
    assert.throws(() => assertSame(["a", "b"], back));
  });
});
