import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import { FrameBatch, type FrameParts } from "@canfleet/sdk";
import { BusStateFollower } from "./bus-state.ts";

const errorFrame = (classes: number, data: number[] = []): FrameParts => {
  return { idWord: 0x20000000 + classes, data: Uint8Array.from({ length: 8 }, (_, i) => data[i] ?? 0) };
};
const WARNING = errorFrame(0x204, [0, 0x08, 0, 0, 0, 0, 96, 1]);
const PASSIVE = errorFrame(0x204, [0, 0x20, 0, 0, 0, 0, 128, 2]);
const ACTIVE = errorFrame(0x204, [0, 0x40, 0, 0, 0, 0, 95, 0]);
const BUS_OFF = errorFrame(0x40);
const RESTARTED = errorFrame(0x100);
const NO_ACK = errorFrame(0x20);
const DATA: FrameParts = { idWord: 0x123, data: new Uint8Array(8) };

describe("the state of a bus", () => {
  const followers: BusStateFollower[] = [];
  const follow = (): { follower: BusStateFollower; events: (string | null)[] } => {
    const events: (string | null)[] = [];
    const follower: BusStateFollower = new BusStateFollower(() => events.push(follower.state));
    followers.push(follower);
    return { follower, events };
  };
  afterEach(() => {
    for (const follower of followers.splice(0)) follower.close();
    mock.timers.reset();
  });

  it("is not known before a frame tells it", () => {
    const { follower, events } = follow();
    follower.observe(FrameBatch.of(DATA, NO_ACK, DATA));
    assert.deepEqual([follower.state, follower.txErrors, follower.errorFrames, events.length], [null, null, 1, 0]);
  });

  it("follows the controller from warning to bus-off and back, with its counters", () => {
    const { follower } = follow();
    const seen = [WARNING, PASSIVE, BUS_OFF, RESTARTED, ACTIVE].map((frame) => {
      follower.observe(FrameBatch.of(DATA, frame));
      return [follower.state, follower.txErrors, follower.rxErrors, follower.restarts];
    });
    assert.deepEqual(seen, [
      ["error-warning", 96, 1, 0],
      ["error-passive", 128, 2, 0],
      ["bus-off", 128, 2, 0],
      ["error-active", null, null, 1],
      ["error-active", 95, 0, 1],
    ]);
  });

  it("is announced at once, and the newest again after a pause", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { follower, events } = follow();
    follower.observe(FrameBatch.of(WARNING));
    assert.deepEqual(events, ["error-warning"]);
    follower.observe(FrameBatch.of(PASSIVE));
    follower.observe(FrameBatch.of(BUS_OFF));
    mock.timers.tick(99);
    assert.deepEqual(events, ["error-warning"]);
    mock.timers.tick(1);
    assert.deepEqual(events, ["error-warning", "bus-off"]);
    mock.timers.tick(1000);
    follower.observe(FrameBatch.of(BUS_OFF));
    assert.equal(events.length, 2);
  });

  it("of a bus that floods makes 10 events a second, and every frame is counted", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { follower, events } = follow();
    // A second of 100,000 error frames, in batches of 100, that change the state with every frame.
    const flood = FrameBatch.of(...Array.from({ length: 100 }, (_, i) => (i % 2 ? PASSIVE : WARNING)), DATA);
    for (let batch = 0; batch < 1000; batch++) {
      follower.observe(flood);
      if (batch % 7 === 0) follower.observe(FrameBatch.of(WARNING));
      mock.timers.tick(1);
    }
    assert.ok(events.length >= 2 && events.length <= 10, `${events.length} events`);
    assert.equal(follower.errorFrames, 100_143);
    assert.ok(follower.changes >= 99_000);
    const before = events.length;
    follower.observe(FrameBatch.of(BUS_OFF));
    mock.timers.tick(100);
    assert.deepEqual([events.length, events.at(-1)], [before + 1, "bus-off"]);
  });

  it("can be told by another source, and forgotten", () => {
    const { follower, events } = follow();
    follower.tell("error-passive", 200, 0);
    assert.deepEqual([follower.state, follower.txErrors, follower.errorFrames], ["error-passive", 200, 0]);
    follower.tell(null, null, null);
    assert.deepEqual([follower.state, follower.txErrors, events[0]], [null, null, "error-passive"]);
  });

  it("is not announced any more once it is closed", () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { follower, events } = follow();
    follower.observe(FrameBatch.of(WARNING));
    follower.observe(FrameBatch.of(BUS_OFF));
    follower.close();
    mock.timers.tick(1000);
    assert.deepEqual(events, ["error-warning"]);
  });
});
