import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ElementSplitter, framePayload } from "./socketcand-elements.ts";

const STREAM = "< ok >< frame 123 1700000000.000001 0011AAFF >< frame 1FFFFFFF 1.500000  >";

describe("ElementSplitter", () => {
  it("gives the same elements wherever the stream is cut", () => {
    const whole = new ElementSplitter().push(STREAM);
    assert.deepEqual(whole, ["< ok >", "< frame 123 1700000000.000001 0011AAFF >", "< frame 1FFFFFFF 1.500000  >"]);
    for (let cut = 0; cut <= STREAM.length; cut++) {
      const splitter = new ElementSplitter();
      assert.deepEqual([...splitter.push(STREAM.slice(0, cut)), ...splitter.push(STREAM.slice(cut))], whole);
    }
    const splitter = new ElementSplitter();
    const oneByOne = Array.from(STREAM, (character) => splitter.push(character)).flat();
    assert.deepEqual(oneByOne, whole);
  });

  it("does not gather what never ends", () => {
    assert.throws(() => new ElementSplitter().push(`< ${"0".repeat(300)}`), RangeError);
  });
});

describe("framePayload", () => {
  it("reads data frames of either format", () => {
    assert.deepEqual(framePayload("< frame 123 1700000000.000001 0011AAFF >"), Buffer.of(0x00, 0x11, 0xaa, 0xff));
    assert.deepEqual(framePayload("< frame 1FFFFFFF 1.500000  >"), Buffer.alloc(0));
  });

  it("takes nothing else for one", () => {
    const others = [
      "< ok >",
      "< error 004 1.000000 >",
      "< frame 123 1.000000 0 >",
      "< frame 123 1.000000 001122334455667788 >",
    ];
    for (const element of others) assert.equal(framePayload(element), undefined, element);
  });
});
