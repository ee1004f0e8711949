import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { FLAG_FD, FrameBatch } from "@canfleet/sdk";
import { BusMonitor } from "./bus-monitor.ts";
import type { CanCapabilities, CanInterface, ControllerInfo } from "./can-interface.ts";

const INFO: ControllerInfo = {
  bitrate: 500_000,
  dataBitrate: null,
  busState: "error-active",
  txErrors: 1,
  rxErrors: 2,
  restartMs: 100,
};
const PASSIVE = FrameBatch.of({ idWord: 0x20000204, data: Uint8Array.of(0, 0x20, 0, 0, 0, 0, 130, 3) });
const BUS_OFF = FrameBatch.of({ idWord: 0x20000040, data: new Uint8Array(8) });
/** 1,000 frames of 190 bits: 38 % of a second at 500 kbit/s. */
const TRAFFIC = FrameBatch.of(
  ...Array.from({ length: 1000 }, () => ({ idWord: 0x555, data: new Uint8Array(16).fill(0x55), flags: FLAG_FD })),
);

/** An interface whose controller answers when the test says so. */
class AskedInterface implements CanInterface {
  readonly channel = "can0";
  readonly driver = "native";
  readonly capabilities: CanCapabilities;
  readonly questions: ((info: ControllerInfo | undefined) => void)[] = [];

  constructor(ownFrames: CanCapabilities["ownFrames"]) {
    this.capabilities = {
      fd: true,
      ownFrames,
      timestamps: "kernel",
      losses: "counted",
      sendErrors: "errno",
      filters: "kernel",
      canSend: true,
      unknownFlags: 0,
    };
  }

  controller(): Promise<ControllerInfo | undefined> {
    return new Promise((resolve) => this.questions.push(resolve));
  }
  open(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  send(): { accepted: number } {
    return { accepted: 0 };
  }
  setFilters(): void {
    // Not needed here.
  }
}

const open: BusMonitor[] = [];

interface RigOptions {
  isFiltered?: boolean;
  ownFrames?: CanCapabilities["ownFrames"];
}

function rig({ isFiltered = false, ownFrames = "marked" }: RigOptions = {}) {
  const can = new AskedInterface(ownFrames);
  const seen = { states: [] as (string | null)[], controllers: 0, sent: 0, nowMs: 0 };
  const monitor: BusMonitor = new BusMonitor(can, {
    isFiltered,
    sentFrames: () => seen.sent,
    onState: () => seen.states.push(monitor.state.state),
    onController: () => seen.controllers++,
    now: () => seen.nowMs,
  });
  open.push(monitor);
  const answer = async (info: ControllerInfo | undefined, question = can.questions.length - 1): Promise<void> => {
    can.questions[question]!(info);
    await new Promise(setImmediate);
  };
  return { can, monitor, seen, answer };
}

describe("bus monitor", () => {
  afterEach(() => {
    for (const monitor of open.splice(0)) monitor.close();
  });

  it("knows nothing before it is told, and then what the controller says", async () => {
    const { monitor, seen, answer } = rig();
    monitor.link("up");
    const nothing = { busState: null, bitrate: null, dataBitrate: null, loadPercent: null };
    assert.deepEqual(monitor.health(), { ...nothing, errors: { frames: 0, tx: null, rx: null, restarts: 0 } });
    await answer(INFO);
    assert.deepEqual(monitor.health(), {
      busState: "error-active",
      errors: { frames: 0, tx: 1, rx: 2, restarts: 0 },
      bitrate: 500_000,
      dataBitrate: null,
      loadPercent: null,
    });
    assert.deepEqual([seen.states, seen.controllers], [["error-active"], 1]);
  });

  it("believes error frames that came while the controller was asked", async () => {
    const { monitor, answer } = rig();
    monitor.link("up");
    monitor.frames(PASSIVE);
    await answer(INFO);
    assert.deepEqual([monitor.state.state, monitor.state.txErrors], ["error-passive", 130]);
    assert.equal(monitor.health().bitrate, 500_000);
  });

  it("keeps counters from error frames where the controller tells none", async () => {
    const { can, monitor, seen, answer } = rig();
    monitor.link("up");
    await answer(INFO);
    monitor.frames(PASSIVE);
    seen.nowMs = 5000;
    monitor.tick();
    assert.equal(can.questions.length, 2);
    await answer({ ...INFO, busState: "error-warning", txErrors: null, rxErrors: null });
    assert.deepEqual([monitor.state.state, monitor.state.txErrors], ["error-warning", 130]);
  });

  it("asks again every 5 s while the controller is in trouble, and no longer", async () => {
    const { can, monitor, seen, answer } = rig();
    const tickUntil = (endMs: number): void => {
      for (; seen.nowMs < endMs; seen.nowMs += 1000) monitor.tick();
    };
    monitor.link("up");
    await answer(INFO);
    tickUntil(20_000);
    assert.equal(can.questions.length, 1);
    monitor.frames(BUS_OFF);
    tickUntil(30_000);
    assert.equal(can.questions.length, 3);
    await answer(INFO);
    tickUntil(60_000);
    assert.equal(can.questions.length, 3);
    assert.equal(monitor.state.state, "error-active");
  });

  it("forgets the state when the interface goes down and everything when it is gone", async () => {
    const { monitor, seen, answer } = rig();
    monitor.link("up");
    await answer(INFO);
    monitor.link("down");
    assert.deepEqual([monitor.health().busState, monitor.health().bitrate], [null, 500_000]);
    monitor.link("gone");
    assert.deepEqual([monitor.health().busState, monitor.health().bitrate, seen.controllers], [null, null, 2]);
  });

  it("takes no answer to an old question, nor any after it was closed", async () => {
    const { monitor, answer } = rig();
    monitor.link("up");
    monitor.link("down");
    await answer(INFO, 0);
    assert.equal(monitor.health().bitrate, null);
    monitor.close();
    await answer(INFO, 1);
    assert.equal(monitor.health().bitrate, null);
  });

  it("tells the load of the last whole interval", async () => {
    const { monitor, seen, answer } = rig();
    monitor.link("up");
    await answer(INFO);
    monitor.frames(TRAFFIC);
    seen.nowMs = 1000;
    assert.equal(monitor.health().loadPercent, null);
    monitor.tick();
    assert.equal(monitor.health().loadPercent, 38);
    seen.nowMs = 2000;
    monitor.tick();
    assert.equal(monitor.health().loadPercent, 0);
  });

  it("tells no load where frames are filtered out", async () => {
    const { monitor, seen, answer } = rig({ isFiltered: true });
    monitor.link("up");
    await answer(INFO);
    monitor.frames(TRAFFIC);
    seen.nowMs = 1000;
    monitor.tick();
    assert.equal(monitor.health().loadPercent, null);
  });

  it("tells no load for a time in which this host sent frames that it cannot see", async () => {
    const { monitor, seen, answer } = rig({ ownFrames: "unseen" });
    monitor.link("up");
    await answer(INFO);
    const loads = [0, 5, 5].map((sent) => {
      seen.sent = sent;
      seen.nowMs += 1000;
      monitor.frames(TRAFFIC);
      monitor.tick();
      return monitor.health().loadPercent;
    });
    assert.deepEqual(loads, [38, null, 38]);
  });
});
