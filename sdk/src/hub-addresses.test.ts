import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCanfleetError } from "./errors.ts";
import { failoverPauseMs, HubAddresses, reconnectPauseMs } from "./hub-addresses.ts";

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

const [A, B, C] = ["mqtt://a", "mqtt://b", "mqtt://c"] as const;

/** The next addresses of a search in which nobody answers. */
function search(addresses: HubAddresses, attempts: number): string[] {
  return Array.from({ length: attempts }, () => {
    addresses.advance();
    return addresses.current;
  });
}

describe("several hub addresses", () => {
  it("are tried in order of preference, round after round", () => {
    const addresses = new HubAddresses([A, B, C]);
    assert.equal(addresses.current, A);
    assert.deepEqual(search(addresses, 6), [B, C, A, B, C, A]);
  });

  it("come before the one whose connection ended, in the first round after it", () => {
    const addresses = new HubAddresses([A, B, C]);
    addresses.connected();
    assert.deepEqual(search(addresses, 6), [B, C, A, A, B, C]);
    search(addresses, 2);
    assert.equal(addresses.current, B);
    addresses.connected();
    assert.deepEqual(search(addresses, 3), [A, C, B]);
  });

  it("are left for the first one when that is asked for", () => {
    const addresses = new HubAddresses([A, B]);
    search(addresses, 1);
    addresses.connected();
    addresses.restart();
    assert.deepEqual(search(addresses, 2), [A, B]);
  });

  it("are dialled after a pause of any length below a bound that grows with the round", () => {
    const most = [0, 1, 2, 3, 2_000].map((round) => failoverPauseMs(round, MAX_MS, 0));
    assert.deepEqual(most, [1_000, 2_000, 4_000, 4_000, 4_000]);
    assert.ok(failoverPauseMs(0, MAX_MS, 1 - Number.EPSILON) > 0, "0 would end the library's attempts");
    const addresses = new HubAddresses([A, B]);
    const pauses = [addresses.pauseMs(MAX_MS, 0)];
    for (let i = 0; i < 4; i++) {
      addresses.advance();
      pauses.push(addresses.pauseMs(MAX_MS, 0));
    }
    assert.deepEqual(pauses, [1_000, 2_000, 2_000, 4_000, 4_000]);
    addresses.connected();
    assert.equal(addresses.pauseMs(MAX_MS, 0), 1_000);
  });

  it("are refused when there is none, too many, or plain and encrypted ones together", () => {
    const many = Array.from({ length: 17 }, (_, i) => `mqtt://hub-${i}`);
    for (const urls of [[], many, [A, "mqtts://b"], [A, "http://b"]])
      assert.throws(
        () => new HubAddresses(urls),
        (error) => isCanfleetError(error, "CONFIG_INVALID"),
      );
  });
});
