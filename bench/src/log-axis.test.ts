import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LogAxis, roundTicks } from "./log-axis.ts";

describe("roundTicks", () => {
  it("enclose the values with 1, 2 and 5", () => {
    assert.deepEqual(roundTicks([3.8, 44]), [2, 5, 10, 20, 50]);
    assert.deepEqual(roundTicks([0.03, 0.06]), [0.02, 0.05, 0.1]);
  });

  it("are powers of ten over a long way", () => {
    assert.deepEqual(roundTicks([3, 122_825]), [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]);
  });

  it("are two at least, even for one round value", () => {
    assert.deepEqual(roundTicks([1000, 1000]), [1000, 2000]);
    assert.deepEqual(roundTicks([50]), [50, 100]);
  });

  it("pass over what has no logarithm", () => {
    assert.deepEqual(roundTicks([0, 3, 4]), [2, 5]);
  });
});

describe("LogAxis", () => {
  it("puts the same ratio the same way apart, in the direction it was given", () => {
    const axis = new LogAxis([1, 10, 100], 300, 100);
    assert.deepEqual(
      [1, 10, 100].map((value) => Math.round(axis.at(value))),
      [300, 200, 100],
    );
  });

  it("puts what lies outside at its ends, and the only tick in the middle", () => {
    const axis = new LogAxis([1, 10], 0, 50);
    assert.deepEqual([axis.at(0), axis.at(1e9)], [0, 50]);
    assert.equal(new LogAxis([8000], 0, 50).at(8000), 25);
  });
});
