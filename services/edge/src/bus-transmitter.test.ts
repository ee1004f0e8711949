import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ERR_FLAG, FLAG_ECHO, FLAG_OWN, FrameBatch, parseFilters, type SendCode } from "@canfleet/sdk";
import { BusTransmitter } from "./bus-transmitter.ts";
import type { CanCapabilities, CanInterface, SendOutcome } from "./can-interface.ts";
import { parseSendPolicy } from "./send-policy.ts";
import type { SendSource } from "./transmit.ts";

const CAPABILITIES: CanCapabilities = {
  fd: true,
  ownFrames: "marked",
  timestamps: "kernel",
  losses: "counted",
  sendErrors: "errno",
  filters: "kernel",
  canSend: true,
  unknownFlags: 0,
};

/** An interface whose refusals the test decides: faults that a real bus gives only by chance. */
class ScriptedInterface implements CanInterface {
  readonly channel = "can0";
  readonly driver = "native";
  readonly capabilities = CAPABILITIES;
  /** Ids that were written, in order. */
  readonly written: number[] = [];
  answer: (free: number) => SendOutcome = (frames) => ({ accepted: frames });

  send(batch: FrameBatch, from = 0): SendOutcome {
    const outcome = this.answer(batch.count - from);
    for (let i = from; i < from + outcome.accepted; i++) this.written.push(batch.idWord[i]!);
    return outcome;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  setFilters(): void {
    // Not needed here.
  }
}

function rig(policy = "all", filters = "") {
  const can = new ScriptedInterface();
  const transmitter = new BusTransmitter(can, parseSendPolicy(policy), parseFilters(filters));
  const answers: [row: number, code: SendCode, timestampUs: number | undefined][] = [];
  const submit = (ids: number[], ttlMs = 500, source: SendSource = "mqtt"): void => {
    transmitter.submit({
      frames: FrameBatch.of(...ids.map((idWord) => ({ idWord }))),
      source,
      ttlMs,
      settled: (...answer) => answers.push(answer),
    });
  };
  const echo = (idWord: number, timestampUs: number): void => {
    transmitter.observe(FrameBatch.of({ idWord, timestampUs, flags: FLAG_OWN | FLAG_ECHO }));
  };
  return { can, transmitter, answers, submit, echo };
}

describe("BusTransmitter", () => {
  it("answers a sent frame with the bus time of its echo", () => {
    const { can, answers, submit, echo } = rig();
    submit([1, 2]);
    assert.deepEqual(can.written, [1, 2]);
    assert.deepEqual(answers, []);
    echo(1, 1001);
    echo(2, 1002);
    assert.deepEqual(answers, [
      [0, "sent", 1001],
      [1, "sent", 1002],
    ]);
  });

  it("puts nothing on the bus that the allow-list does not name, and sends the rest of the request", () => {
    const { can, answers, submit, echo } = rig("100,200");
    submit([0x100, 0x101, 0x200, ERR_FLAG | 1]);
    echo(0x100, 1);
    echo(0x200, 2);
    assert.deepEqual(can.written, [0x100, 0x200]);
    assert.deepEqual(
      answers.map(([row, code]) => [row, code]),
      [
        [1, "denied"],
        [3, "denied"],
        [0, "sent"],
        [2, "sent"],
      ],
    );
  });

  it("by default takes the raw link's frames and refuses MQTT clients'", () => {
    const { can, answers, submit } = rig("link");
    submit([1], 500, "mqtt");
    submit([2], 500, "link");
    assert.deepEqual(can.written, [2]);
    assert.deepEqual(answers, [[0, "denied", undefined]]);
  });

  it("tries again while the queue is full, keeps the order, and sends nothing late", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 0;
    context.mock.method(performance, "now", () => nowMs);
    const { can, answers, submit } = rig();
    let full = true;
    can.answer = (frames) =>
      full ? { accepted: 1, refusal: { kind: "no-buffer", errno: "ENOBUFS" } } : { accepted: frames };
    submit([1, 2, 3], 100);
    assert.deepEqual(can.written, [1]);
    nowMs = 50;
    full = false;
    context.mock.timers.tick(2);
    assert.deepEqual(can.written, [1, 2, 3]);
    full = true;
    can.answer = () => ({ accepted: 0, refusal: { kind: "no-buffer", errno: "ENOBUFS" } });
    submit([4], 100);
    nowMs = 151;
    can.answer = (frames) => ({ accepted: frames });
    context.mock.timers.tick(2);
    assert.deepEqual(can.written, [1, 2, 3]);
    assert.deepEqual(answers, [[0, "expired", undefined]]);
  });

  it("answers at once when the bus is down, and what waited is never sent afterwards", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { can, transmitter, answers, submit } = rig();
    can.answer = () => ({ accepted: 0, refusal: { kind: "down", errno: "ENETDOWN" } });
    submit([1, 2]);
    assert.deepEqual(answers, [
      [0, "bus-off", undefined],
      [1, "bus-off", undefined],
    ]);
    can.answer = () => ({ accepted: 0, refusal: { kind: "no-buffer", errno: "ENOBUFS" } });
    submit([3]);
    transmitter.linkLost();
    can.answer = (frames) => ({ accepted: frames });
    context.mock.timers.tick(10);
    assert.deepEqual(can.written, []);
    assert.deepEqual(answers[2], [0, "bus-off", undefined]);
  });

  it("skips a frame that the bus can never carry and goes on", () => {
    const { can, answers, submit, echo } = rig();
    let calls = 0;
    can.answer = (frames) =>
      calls++ === 0 ? { accepted: 1, refusal: { kind: "unsupported", errno: "EINVAL" } } : { accepted: frames };
    submit([1, 2, 3]);
    echo(1, 1);
    echo(3, 3);
    assert.deepEqual(can.written, [1, 3]);
    assert.deepEqual(answers, [
      [1, "unsupported", undefined],
      [0, "sent", 1],
      [2, "sent", 3],
    ]);
  });

  it("does not wait for an echo that the receive filters keep away", () => {
    const { answers, submit } = rig("all", "100:7FF");
    submit([0x200]);
    assert.deepEqual(answers, [[0, "sent", undefined]]);
  });

  it("says expired when a frame was handed over and never seen on the bus", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let nowMs = 0;
    context.mock.method(performance, "now", () => nowMs);
    const { answers, submit } = rig();
    submit([1], 100);
    nowMs = 200;
    context.mock.timers.tick(50);
    assert.deepEqual(answers, [[0, "expired", undefined]]);
  });

  it("bounds what waits", () => {
    const { can, answers, submit } = rig();
    can.answer = () => ({ accepted: 0, refusal: { kind: "no-buffer", errno: "ENOBUFS" } });
    const ids = Array.from({ length: 4096 }, (_, i) => i % 0x7ff);
    submit(ids);
    submit([1]);
    assert.deepEqual(answers, [[0, "no-buffer", undefined]]);
  });
});
