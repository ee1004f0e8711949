import assert from "node:assert/strict";
import { it } from "node:test";
import { HeardClock } from "@canfleet/sdk";
import { EdgeClock, MAX_PATH_AGE_MS, SETTLING_MS } from "./edge-clock.ts";
import { HubOffset } from "./hub-offset.ts";
import { WallClock } from "./wall-clock.ts";

it("a request of unknown age has time left only while the way is known to be fresh", () => {
  let nowMs = 1_000;
  const clock = new EdgeClock(() => nowMs);
  assert.equal(clock.timeLeftMs(500, undefined), 0, "before any connection");
  clock.connected();
  const ping = clock.ping();
  nowMs += MAX_PATH_AGE_MS + 1;
  assert.equal(clock.timeLeftMs(500, undefined), 0, "no ping came back");
  clock.echoed(ping);
  assert.equal(clock.timeLeftMs(500, undefined), 0, "a backlog is being worked off");
  clock.echoed({ ...clock.ping(), clock: clock.id ^ 1 });
  assert.equal(clock.timeLeftMs(500, undefined), 0, "the ping of another run");
  clock.echoed(clock.ping());
  assert.equal(clock.timeLeftMs(500, undefined), 0, "the broker may have been stalled, and reads what waited for it");
  nowMs += SETTLING_MS - 1;
  clock.echoed(clock.ping());
  assert.equal(clock.timeLeftMs(500, undefined), 0);
  nowMs += 1;
  assert.equal(clock.timeLeftMs(500, undefined), 500);
});

it("a request of unknown age waits for what a broker may have kept back, after a new connection but not the first", () => {
  let nowMs = 1_000;
  const clock = new EdgeClock(() => nowMs);
  clock.connected();
  assert.equal(clock.timeLeftMs(500, undefined), 500);
  nowMs += 500;
  clock.connected();
  assert.equal(clock.timeLeftMs(500, undefined), 0);
  nowMs += SETTLING_MS;
  assert.equal(clock.timeLeftMs(500, undefined), 500);
});

it("a request that tells its age has what is left of its time", () => {
  const clock = new EdgeClock(() => 10_000);
  assert.equal(clock.timeLeftMs(500, { clock: clock.id, atUs: 9_800_000 }), 300);
  assert.equal(clock.timeLeftMs(500, { clock: clock.id, atUs: 9_500_000 }), 0);
  assert.equal(clock.timeLeftMs(500, { clock: clock.id, atUs: 10_500_000 }), 500);
  assert.equal(clock.timeLeftMs(500, { clock: clock.id, atUs: 11_500_000 }), 0, "a time that nobody can know yet");
  assert.equal(clock.timeLeftMs(500, { clock: clock.id ^ 1, atUs: 10_000_000 }), 0, "another run of the edge");
});

it("a listener never takes an edge's clock for later than it is", () => {
  const heard = new HeardClock();
  assert.equal(heard.now(0), undefined);
  // The edge's clock is 7,000 ms ahead; the pings were 40, 5 and 900 ms on their way.
  heard.heard({ clock: 1, at: 7_000_000 }, 40);
  heard.heard({ clock: 1, at: 7_500_000 }, 505);
  heard.heard({ clock: 1, at: 8_000_000 }, 1_900);
  assert.deepEqual(heard.now(2_000), { clock: 1, atUs: 8_995_000 });
  heard.heard({ clock: 2, at: 100_000 }, 3_000);
  assert.deepEqual(heard.now(3_010), { clock: 2, atUs: 110_000 });
});

it("the offset is that of the quickest answer, with its error", () => {
  const offset = new HubOffset(5);
  assert.deepEqual(offset.at(0, 0), { offsetUs: null, errorUs: null });
  // The hub's wall clock is the edge's monotonic one and 50 s.
  offset.answered({ clock: 5, at: 1_000_000, hub: 51_090_000 }, 1_100_000);
  offset.answered({ clock: 5, at: 2_000_000, hub: 52_001_000 }, 2_002_000);
  offset.answered({ clock: 6, at: 2_000_000, hub: 99_000_000 }, 2_002_000);
  assert.deepEqual(offset.at(52_302_000, 2_002_000), { offsetUs: 300_000, errorUs: 2_000 });
  // The hub's clock is set by an hour: what was known before is worth nothing.
  offset.answered({ clock: 5, at: 3_000_000, hub: 3_653_002_000 }, 3_004_000);
  assert.deepEqual(offset.at(53_304_000, 3_004_000), { offsetUs: -3_599_700_000, errorUs: 3_000 });
});

it("a clock that is set is noticed with its step, slewing and pauses are not", () => {
  let wallMs = 1_000_000;
  let monotonicMs = 0;
  const clock = new WallClock(() => ({ wallMs, monotonicMs }));
  wallMs += 30_000.5;
  monotonicMs += 30_000;
  assert.equal(clock.look(), 0);
  wallMs += 1_000 - 3_600_000;
  monotonicMs += 1_000;
  assert.equal(clock.look(), -3_600_000_000);
  assert.equal(clock.look(), 0);
  assert.deepEqual([clock.steps, clock.lastStepUs], [1, -3_600_000_000]);
});
