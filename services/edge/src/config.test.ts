import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkEdgeConfig } from "./config.ts";
import { FrameBatch, type SendSource } from "@canfleet/sdk";
import { SeenNonces } from "./seen-nonces.ts";
import { SendGate } from "./send-gate.ts";
import { parseSendPolicy, type SendPolicy } from "./send-policy.ts";

function maySend(policy: SendPolicy, source: SendSource, idWord: number): boolean {
  return (
    new SendGate(policy).outlook(source, FrameBatch.of({ timestampUs: 0, idWord, data: new Uint8Array(0) }), 0) !==
    "denied"
  );
}

describe("checkEdgeConfig", () => {
  it("takes a bridge's own send rules for an interface that is no bus of the edge, and for nothing else", () => {
    const bridge = (a: string, b: string, send?: string): string[] => {
      const buses = [{ channel: "can0" }];
      return checkEdgeConfig({ buses, bridges: [{ a, b, ...(send && { send }) }] }).mistakes.map(({ path }) => path);
    };
    assert.deepEqual(bridge("pi-7/can0", "vcan0", "123"), []);
    assert.deepEqual(bridge("can0", "vcan0", "123"), []);
    assert.deepEqual(bridge("can0", "pi-7/can0", "123"), ["bridges[0].send"]);
    assert.deepEqual(bridge("tcp:h:5", "pi-7/can0", "123"), ["bridges[0].send"]);
    assert.deepEqual(bridge("vcan0", "pi-7/can0", "xyz"), ["bridges[0].send"]);
    assert.deepEqual(bridge("a/b/c", "tcp:99999"), ["bridges[0].a", "bridges[0].b"]);
  });

  it("fills in the defaults", () => {
    const { checked, mistakes } = checkEdgeConfig({
      name: "pi-7",
      buses: [{ channel: "can0" }, { channel: "sim:car" }],
    });
    assert.deepEqual(mistakes, []);
    assert.deepEqual(
      checked.buses.map(({ name }) => name),
      ["can0", "car"],
    );
    assert.deepEqual(checked.batch, { maxFrames: 256, maxBytes: 16_384, maxAgeMs: 10 });
    assert.equal(checked.buses[0]!.send.text, "link");
  });

  it("finds every mistake at once and says where", () => {
    const { mistakes } = checkEdgeConfig({
      name: "Pi 7",
      base: "a/#",
      batch: { maxFrames: 0 },
      buses: [
        { channel: "can0", filters: "xyz", send: "12345", gatherMs: 50 },
        {
          channel: "can0",
          maxRateHz: 1e6,
          links: [
            { host: "h", port: 70_000 },
            { listen: -1, allow: ["pi"] },
          ],
        },
      ],
    });
    assert.deepEqual(mistakes.map(({ path }) => path).sort(), [
      "base",
      "batch.maxFrames",
      "buses[0].filters",
      "buses[0].gatherMs",
      "buses[0].send",
      "buses[1].links[0].port",
      "buses[1].links[1].allow",
      "buses[1].links[1].listen",
      "buses[1].maxRateHz",
      "buses[1].name",
      "name",
    ]);
  });
});

describe("the allow-list", () => {
  it("tells 11-bit from 29-bit ids with the same number", () => {
    const policy = parseSendPolicy("123,00000124");
    assert.ok(maySend(policy, "mqtt", 0x123));
    assert.ok(!maySend(policy, "mqtt", 0x80000123));
    assert.ok(maySend(policy, "mqtt", 0x80000124));
    assert.ok(!maySend(policy, "mqtt", 0x124));
  });

  it("refuses what it cannot read and a list that allows everything but", () => {
    for (const text of ["", "everyone", "123~7FF", "1000"])
      assert.throws(() => parseSendPolicy(text), RangeError, text);
  });

  it("by default lets hosts send that the operator named, not those that merely came", () => {
    const policy = parseSendPolicy("link");
    const may = (["link", "bridge", "guest", "mqtt"] as const).filter((source) => maySend(policy, source, 1));
    assert.deepEqual(may, ["link", "bridge"]);
  });

  it("none means nobody", () => {
    for (const source of ["link", "guest", "mqtt", "bridge"] as const)
      assert.ok(!maySend(parseSendPolicy("none"), source, 1));
  });
});

describe("SeenNonces", () => {
  it("knows a nonce for its time and then forgets it", () => {
    const seen = new SeenNonces(1000, 10);
    const nonce = new Uint8Array(16).fill(1);
    assert.ok(seen.add(nonce, 0));
    assert.ok(!seen.add(nonce.slice(), 999));
    assert.ok(seen.add(nonce, 1000));
  });

  it("refuses rather than forgets when it is full", () => {
    const seen = new SeenNonces(1000, 1);
    assert.ok(seen.add(new Uint8Array(16).fill(1), 0));
    assert.ok(!seen.add(new Uint8Array(16).fill(2), 1));
  });
});
