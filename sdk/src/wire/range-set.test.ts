import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RangeSet } from "./range-set.ts";

const SIZE = 40;
const range = fc.tuple(fc.nat(SIZE), fc.nat(SIZE));
const steps = fc.array(fc.tuple(fc.boolean(), range), { maxLength: 30 });

/** The same operations on a set of single numbers. */
function both(operations: [boolean, [number, number]][]): { ranges: RangeSet; numbers: Set<number> } {
  const ranges = new RangeSet();
  const numbers = new Set<number>();
  for (const [isAdd, [from, to]] of operations) {
    if (isAdd) ranges.add(from, to);
    else ranges.delete(from, to);
    for (let n = from; n < to; n++) {
      if (isAdd) numbers.add(n);
      else numbers.delete(n);
    }
  }
  return { ranges, numbers };
}

function expand(ranges: Iterable<readonly [number, number]>): number[] {
  return [...ranges].flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
}

describe("RangeSet", () => {
  it("holds what a plain set of numbers holds, in ranges that do not touch", () => {
    fc.assert(
      fc.property(steps, (operations) => {
        const { ranges, numbers } = both(operations);
        assert.deepEqual(
          expand(ranges),
          [...numbers].sort((a, b) => a - b),
        );
        assert.equal(ranges.count, numbers.size);
        let before = -1;
        for (const [from, to] of ranges) {
          assert.ok(from > before && to > from);
          before = to;
        }
      }),
    );
  });

  it("answers questions about parts as a plain set of numbers does", () => {
    fc.assert(
      fc.property(steps, range, (operations, [from, to]) => {
        const { ranges, numbers } = both(operations);
        const asked = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
        const missing = asked.filter((n) => !numbers.has(n));
        assert.deepEqual(expand(ranges.missing(from, to)), missing);
        assert.equal(ranges.firstMissing(from, to), missing[0]);
        assert.equal(ranges.has(from, to), missing.length === 0);
        assert.deepEqual(
          expand(ranges.within(from, to)),
          asked.filter((n) => numbers.has(n)),
        );
      }),
    );
  });

  it("says whether something was new", () => {
    const ranges = new RangeSet([[0, 10]]);
    assert.equal(ranges.add(2, 5), false);
    assert.equal(ranges.add(9, 11), true);
    assert.deepEqual([...ranges], [[0, 11]]);
  });

  it("forgets the lowest ranges when told to keep few", () => {
    const ranges = new RangeSet([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    ranges.keepHighest(2);
    assert.deepEqual(
      [...ranges],
      [
        [2, 3],
        [4, 5],
      ],
    );
  });
});
