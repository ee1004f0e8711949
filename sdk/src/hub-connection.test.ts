import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { reconnectPauseMs } from "./hub-connection.ts";

const MAX_MS = 4_000;

describe("pause before a hub is dialled again", () => {
  it("doubles up to the maximum, and stays there for ever", () => {
    const pauses = [0, 1, 2, 3, 4, 5, 2_000].map((attempt) => reconnectPauseMs(attempt, MAX_MS, 0));
    assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it("is shortened by chance, by half at most", () => {
    assert.equal(reconnectPauseMs(4, MAX_MS, 0.5), 3_000);
    assert.equal(reconnectPauseMs(4, MAX_MS, 1 - Number.EPSILON), 2_000);
  });

  it("spreads a fleet that lost its hub in one instant evenly over half of the longest pause", () => {
    const returns = Array.from({ length: 50 }, (_, i) => reconnectPauseMs(9, MAX_MS, i / 50)).sort((a, b) => a - b);
    const gaps = returns.slice(1).map((ms, i) => ms - returns[i]!);
    assert.ok(Math.max(...gaps) <= 41, `${Math.max(...gaps)} ms between two`);
    assert.equal(returns.at(-1)! - returns[0]!, 1_960);
  });
});
