import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GuessBrake, networkOf } from "./guess-brake.ts";

describe("slowing down who guesses", () => {
  it("takes five wrong ones, then doubles a pause from 1 s to 60 s", () => {
    const brake = new GuessBrake();
    let nowMs = 0;
    for (let n = 0; n < 5; n++) brake.failed("10.0.0.1", nowMs);
    assert.equal(brake.isHeld("10.0.0.1", nowMs), false);
    for (const pauseMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      brake.failed("10.0.0.1", nowMs);
      assert.equal(brake.isHeld("10.0.0.1", nowMs + pauseMs - 1), true);
      nowMs += pauseMs;
      assert.equal(brake.isHeld("10.0.0.1", nowMs), false);
    }
  });

  it("forgets after a minute without one, and at once after a right one", () => {
    const brake = new GuessBrake();
    for (let n = 0; n < 6; n++) brake.failed("10.0.0.1", 0);
    brake.failed("10.0.0.1", 61_001);
    assert.equal(brake.isHeld("10.0.0.1", 61_001), false);
    for (let n = 0; n < 9; n++) brake.failed("10.0.0.1", 61_001);
    assert.equal(brake.isHeld("10.0.0.1", 61_001), true);
    brake.succeeded("10.0.0.1");
    assert.equal(brake.isHeld("10.0.0.1", 61_001), false);
  });

  it("holds nobody else, and remembers a thousand addresses at most", () => {
    const brake = new GuessBrake();
    for (let n = 0; n < 6; n++) brake.failed("10.0.0.1", 0);
    assert.equal(brake.isHeld("10.0.0.2", 0), false);
    for (let n = 0; n < 1024; n++) brake.failed(`10.1.${n >> 8}.${n & 255}`, 0);
    assert.equal(brake.isHeld("10.0.0.1", 0), false);
  });

  it("counts the addresses of an IPv6 /64 as one", () => {
    assert.equal(networkOf("2001:db8:0:1::1"), networkOf("2001:0db8:0000:0001:ffff::2"));
    assert.notEqual(networkOf("2001:db8:0:1::1"), networkOf("2001:db8:0:2::1"));
    assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64");
    assert.equal(networkOf("10.0.0.1"), "10.0.0.1");
  });
});
