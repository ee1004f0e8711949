import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fleet } from "./fleet.ts";

function put(fleet: Fleet, topic: string, value: unknown, retained = false, nowMs = 1_000): void {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  fleet.apply(`canfleet/${topic}`, Buffer.from(text), retained, nowMs);
}

const STATUS = {
  t: 1,
  state: "up",
  busState: "error-active",
  bitrate: 500_000,
  loadPercent: 31.5,
  driver: "sim",
  epoch: 5,
  seq: 700,
  framesPerSecond: 240,
  frames: { received: 700, sent: 3 },
  lost: { kernel: null, edge: 2, link: 0 },
  clock: { offsetUs: 312, errorUs: 90, steps: 0, lastStepUs: 0 },
  spool: { state: "ok", reason: "", bytes: 4_096, frames: 12, oldest: 1, syncErrors: 0, dropping: false },
};

describe("the fleet", () => {
  it("puts state, info and status together", () => {
    const fleet = new Fleet("canfleet");
    put(fleet, "pi-7/state", { state: "online", session: 1 });
    put(fleet, "pi-7/info", { version: "1.2.3", host: "garage", buses: { can0: { send: "link" } } });
    put(fleet, "pi-7/can0/status", STATUS);
    assert.deepEqual(fleet.edges(3_500), [
      {
        edge: "pi-7",
        state: "online",
        version: "1.2.3",
        host: "garage",
        buses: [
          {
            bus: "can0",
            state: "up",
            reason: null,
            busState: "error-active",
            driver: "sim",
            send: "link",
            bitrate: 500_000,
            loadPercent: 31.5,
            framesPerSecond: 240,
            frames: { received: 700, sent: 3 },
            lost: { kernel: null, edge: 2, link: 0 },
            epoch: 5,
            seq: 700,
            clock: { offsetUs: 312, steps: 0 },
            spool: { state: "ok", reason: "", bytes: 4_096, frames: 12, dropping: false },
            ageMs: 2_500,
          },
        ],
      },
    ]);
  });

  it("does not know the age of what was retained", () => {
    const fleet = new Fleet("canfleet");
    put(fleet, "pi-7/can0/status", STATUS, true);
    assert.equal(fleet.edges(9_000)[0]?.buses[0]?.ageMs, null);
  });

  it("ignores the late will of a connection that a newer one replaced", () => {
    const fleet = new Fleet("canfleet");
    put(fleet, "pi-7/state", { state: "online", session: 20 });
    put(fleet, "pi-7/state", { state: "offline", session: 10 });
    assert.equal(fleet.edges(0)[0]?.state, "online");
    put(fleet, "pi-7/state", { state: "offline", session: 20 });
    assert.equal(fleet.edges(0)[0]?.state, "offline");
  });

  it("forgets what is cleared", () => {
    const fleet = new Fleet("canfleet");
    put(fleet, "pi-7/state", { state: "online" });
    put(fleet, "pi-7/can0/status", STATUS);
    put(fleet, "pi-7/can0/status", "");
    assert.deepEqual(fleet.edges(0)[0]?.buses, []);
    put(fleet, "pi-7/state", "");
    assert.deepEqual(fleet.edges(0), []);
  });

  it("shows wrong kinds of values as not known", () => {
    const fleet = new Fleet("canfleet");
    put(fleet, "pi-7/can0/status", { state: 5, bitrate: "fast", frames: [1], lost: "none", loadPercent: null });
    const bus = fleet.edges(0)[0]?.buses[0];
    assert.deepEqual(
      [bus?.state, bus?.bitrate, bus?.frames.received, bus?.lost, bus?.loadPercent],
      [null, null, null, {}, null],
    );
  });

  it("bounds what strangers can make it remember, and counts what it refused", () => {
    const fleet = new Fleet("canfleet", { maxEdges: 2, maxBuses: 1, maxPayloadBytes: 1_000 });
    put(fleet, "a/state", { state: "online" });
    put(fleet, "b/state", { state: "online" });
    put(fleet, "c/state", { state: "online" }); // a third edge
    put(fleet, "a/can0/status", STATUS);
    put(fleet, "a/can1/status", STATUS); // a second bus
    put(fleet, "a/can0/status", "not JSON");
    put(fleet, "a/can0/status", "[1]");
    put(fleet, "a/info", { version: "x".repeat(1_000) });
    assert.equal(fleet.refusedMessages, 5);
    assert.deepEqual(
      fleet.edges(0).map(({ edge, buses }) => [edge, buses.length]),
      [
        ["a", 1],
        ["b", 0],
      ],
    );
  });
});
