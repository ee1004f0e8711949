import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { oneWord, readBus } from "./bus-spec.ts";
import { UsageError } from "./usage-error.ts";

describe("a bus of the command line", () => {
  it("takes candump's filters behind commas", () => {
    const { text, filters } = readBus("pi-7/can0,123:7FF,400~7F0");
    assert.equal(text, "pi-7/can0");
    assert.deepEqual(filters, [
      { id: 0x123, mask: 0x800007ff },
      { id: 0x400, mask: 0x800007f0, inverted: true },
    ]);
  });

  it("takes candump's error mask and join, which change nothing", () => {
    assert.deepEqual(readBus("can0,#FFFFFFFF,j").filters, []);
    assert.equal(readBus("can0,#FFFFFFFF,123,J").filters.length, 1);
  });

  const refused: [text: string, says: RegExp][] = [
    ["", /expected EDGE\/BUS/],
    ["Pi-7/can0", /expected EDGE\/BUS/],
    ["pi-7/can0/x", /expected EDGE\/BUS/],
    ["pi-7/#", /expected EDGE\/BUS/],
    ["tcp:", /expected EDGE\/BUS/],
    ["tcp:70000", /expected EDGE\/BUS/],
    ["sim:../x", /expected EDGE\/BUS/],
    ["can0,12G", /filter "12G": expected ID/],
    ["can0,1000", /write 8 digits for 29 bits/],
  ];
  for (const [text, says] of refused) {
    it(`refuses ${JSON.stringify(text)} as wrong usage`, () =>
      assert.throws(
        () => readBus(text),
        (error) => error instanceof UsageError && says.test(error.message),
      ));
  }
});

it("a channel becomes one word", () => {
  assert.equal(oneWord("pi-7/can0"), "pi-7-can0");
  assert.equal(oneWord("sim:car"), "sim-car");
});
