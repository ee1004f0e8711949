import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Policy, type Refusal } from "./policy.ts";

const policy = new Policy("canfleet");

describe("the policy", () => {
  const publishes: [topic: string, retain: boolean, refusal: Refusal | undefined][] = [
    ["canfleet/pi-7/state", true, undefined],
    ["canfleet/pi-7/info", true, undefined],
    ["canfleet/pi-7/can0/status", true, undefined],
    ["canfleet/pi-7/can0/send", false, undefined],
    ["canfleet/pi-7/can0/send", true, "retained"],
    ["canfleet/pi-7/can0/sent", true, "retained"],
    ["canfleet/pi-7/can0/frames", true, "retained"],
    ["canfleet/pi-7/can0/backfill", true, "retained"],
    ["canfleet/pi-7/can0/request", true, "retained"],
    ["canfleet/pi-7/can0/id/123", false, undefined],
    ["canfleet/_bridges/pi-7.can0-pi-9.can0", true, undefined],
    ["canfleet/_bridges/a/b", true, "name"],
    ["canfleet/_bridges", true, "name"],
    ["canfleet/Pi-7/state", true, "name"],
    ["canfleet/../state", true, "name"],
    ["canfleet/__proto__/state", true, "name"],
    ["canfleet//state", true, "name"],
    ["canfleet/pi-7", false, "name"],
    ["canfleet/pi-7/", false, "name"],
    [`canfleet/${"a".repeat(33)}/state`, true, "name"],
    ["canfleet/pi-7/can 0/frames", false, "name"],
    ["canfleet/pi-7/a-name-that-is-too-long/frames", false, "name"],
    ["canfleets/Whatever", true, undefined],
    ["homeassistant/sensor/x/config", true, undefined],
    ["$SYS/broker/connection/garage/state", true, "reserved"],
  ];
  for (const [topic, retain, refusal] of publishes) {
    it(`${refusal ? "refuses" : "allows"} ${retain ? "a retained" : "a"} publish to ${topic}`, () => {
      assert.equal(policy.refusePublish(topic, retain), refusal);
    });
  }

  it("says the same again of a topic that it knows, also when it has seen more than it keeps", () => {
    const busy = new Policy("canfleet");
    for (let i = 0; i < 5_000; i++) {
      assert.equal(busy.refusePublish(`canfleet/pi-${i}/can0/frames`, false), undefined);
      assert.equal(busy.refusePublish("canfleet/pi-0/can0/frames", false), undefined);
      assert.equal(busy.refusePublish("canfleet/pi-0/can0/frames", true), "retained");
      assert.equal(busy.refusePublish("canfleet/Pi-0/can0/frames", false), "name");
    }
  });

  it("hides the broker's own topics and lets everything else be subscribed to", () => {
    assert.equal(policy.refuseSubscribe("$SYS/#"), "filter");
    assert.equal(policy.refuseSubscribe("$share/group/canfleet/#"), "filter");
    assert.equal(policy.refuseSubscribe("#"), undefined);
    assert.equal(policy.refuseSubscribe("canfleet/+/+/frames"), undefined);
  });
});
