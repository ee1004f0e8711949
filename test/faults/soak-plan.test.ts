import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planFaults, slopeOf } from "./soak-plan.ts";

function first(count: number, seed: number) {
  const plan = planFaults(seed);
  return Array.from({ length: count }, () => plan.next().value);
}

describe("the plan of a soak", () => {
  it("is the same for the same seed, and another one for another", () => {
    assert.deepEqual(first(30, 7), first(30, 7));
    assert.notDeepEqual(first(30, 7), first(30, 8));
  });

  it("has every kind of fault once before any comes again", () => {
    const kinds = first(12, 7).map(({ kind }) => kind);
    assert.deepEqual([new Set(kinds.slice(0, 6)).size, new Set(kinds.slice(6)).size], [6, 6]);
  });
});

describe("the slope of a soak", () => {
  it("is that of a straight line", () => {
    const { perHour, error } = slopeOf([0, 1, 2, 3].map((hours) => ({ hours, value: 100 + 5 * hours })));
    assert.ok(Math.abs(perHour - 5) < 1e-9 && error < 1e-6, `${perHour} ± ${error}`);
  });

  it("has an error that grows with the scatter", () => {
    const samples = [3, -3, 3, -3, 3, -3].map((off, hours) => ({ hours, value: 100 + off }));
    const { perHour, error } = slopeOf(samples);
    assert.ok(Math.abs(perHour) < error, `${perHour} ± ${error}`);
  });

  it("takes no slow wave for growth, and no growth for a wave", () => {
    let state = 1;
    const random = (): number => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff - 0.5;
    let taken = 0;
    for (let series = 0; series < 200; series++) {
      let wave = 0;
      const values = Array.from({ length: 240 }, () => (wave = 0.9 * wave + random()));
      const slope = slopeOf(values.map((value, i) => ({ hours: i / 720, value })));
      if (Math.abs(slope.perHour) > 3 * slope.error) taken++;
      const growing = slopeOf(values.map((value, i) => ({ hours: i / 720, value: value + i / 10 })));
      assert.ok(growing.perHour > 3 * growing.error, "72 an hour");
    }
    assert.ok(taken <= 10, `${taken} of 200 waves`);
  });

  it("is not known from two samples", () => {
    assert.equal(slopeOf([1, 2].map((hours) => ({ hours, value: hours }))).error, Infinity);
  });
});
