import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LatencyHistogram } from "./latency-histogram.ts";

describe("LatencyHistogram", () => {
  it("gives quantiles within 5 %, from microseconds to minutes", () => {
    const histogram = new LatencyHistogram();
    for (let i = 1; i <= 1000; i++) histogram.add(i * 1000);
    for (const [share, wanted] of [
      [0.5, 500_000],
      [0.99, 990_000],
    ] as const) {
      assert.ok(Math.abs(histogram.quantile(share) / wanted - 1) < 0.05, `${histogram.quantile(share)}`);
    }
    histogram.clear();
    assert.equal(histogram.quantile(0.5), 0);
    histogram.add(60_000_000);
    assert.ok(Math.abs(histogram.quantile(1) / 60_000_000 - 1) < 0.05);
  });
});
