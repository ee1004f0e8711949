import assert from "node:assert/strict";
import { it } from "node:test";
import { PlayClock } from "./play-clock.ts";

function dues(recordedMs: readonly number[], speed = 1, skipMs?: number): number[] {
  const clock = new PlayClock({ speed, skipUs: skipMs === undefined ? undefined : skipMs * 1000 });
  // Each frame is asked for late: that must not move the ones after it.
  return recordedMs.map((ms, i) => clock.due(1_700_000_000e6 + ms * 1000, 100 + i * 3));
}

it("recorded gaps are kept from the first frame on, however late each is asked for", () => {
  assert.deepEqual(dues([0, 10, 30]), [100, 110, 130]);
});

it("a speed divides the gaps", () => assert.deepEqual(dues([0, 10, 30], 2), [100, 105, 115]));

it("gaps that are too long are not waited through", () => {
  assert.deepEqual(dues([0, 10, 60_010, 60_020], 1, 1_000), [100, 110, 110, 120]);
});

it("time that goes backwards counts as no time", () => assert.deepEqual(dues([0, 10, 5, 15]), [100, 110, 110, 120]));
