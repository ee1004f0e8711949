import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { median, spread } from "./statistics.ts";

describe("statistics", () => {
  it("take the middle, whatever the order", () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([4, 1, 2, 30]), 3);
    assert.ok(Number.isNaN(median([])));
    assert.deepEqual(spread([3, -1, 2]), [-1, 3]);
  });
});
