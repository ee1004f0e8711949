import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findRing } from "./bridge-ring.ts";

const both = (a: string, b: string) => ({ a, b, oneWay: false });
const oneWay = (a: string, b: string) => ({ a, b, oneWay: true });

describe("findRing", () => {
  it("lets a chain and a star be", () => {
    assert.equal(findRing([both("a/0", "b/0")], both("b/0", "c/0")), undefined);
    assert.equal(findRing([both("a/0", "b/0"), both("a/0", "c/0")], both("a/0", "d/0")), undefined);
  });

  it("names the ring of three", () => {
    assert.deepEqual(findRing([both("a/0", "b/0"), both("b/0", "c/0")], both("c/0", "a/0")), [
      "c/0",
      "a/0",
      "b/0",
      "c/0",
    ]);
  });

  it("sees a second bridge between the same buses, and a bus joined to itself", () => {
    assert.deepEqual(findRing([both("a/0", "b/0")], both("b/0", "a/0")), ["b/0", "a/0", "b/0"]);
    assert.deepEqual(findRing([], both("a/0", "a/0")), ["a/0", "a/0"]);
  });

  it("minds the direction of one-way bridges", () => {
    assert.equal(findRing([oneWay("a/0", "b/0"), oneWay("b/0", "c/0")], oneWay("a/0", "c/0")), undefined);
    assert.deepEqual(findRing([oneWay("a/0", "b/0")], oneWay("b/0", "a/0")), ["b/0", "a/0", "b/0"]);
    assert.deepEqual(findRing([oneWay("a/0", "b/0")], both("a/0", "b/0")), ["b/0", "a/0", "b/0"]);
  });
});
