import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { FrameBatch } from "@canfleet/sdk";
import { BOAT } from "./boat.ts";
import { CAR } from "./car.ts";
import type { World } from "./database.ts";
import { crc8, MessageEncoder, rawOf } from "./encoder.ts";
import { makeTraffic, type Traffic } from "./traffic.ts";
import { dbcFiles } from "./worlds.ts";

const START_US = 1_700_000_000_000_000;
const SECOND_US = 1_000_000;

/** Runs the traffic over a stretch of time in steps that `nextStepUs` gives, and gathers all frames. */
function gather(traffic: Traffic, fromUs: number, toUs: number, nextStepUs: () => number): FrameBatch {
  const all = new FrameBatch(20_000, 160_000);
  for (let nowUs = fromUs; nowUs < toUs; nowUs = Math.min(toUs, nowUs + nextStepUs())) traffic.run(nowUs, all);
  traffic.run(toUs, all);
  return all;
}

const steady = (): number => 5000;

/** The signal's raw bits, read by the rules of DBC and not by the encoder's. */
function rawBits(payload: Uint8Array, startBit: number, bits: number, bigEndian: boolean): bigint {
  const ordered = bigEndian ? payload : payload.toReversed();
  let whole = 0n;
  for (const byte of ordered) whole = (whole << 8n) | BigInt(byte);
  const fromTop = (startBit >> 3) * 8 + (7 - (startBit & 7));
  const shift = bigEndian ? payload.length * 8 - fromTop - bits : startBit;
  return (whole >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
}

function checkWorld<State>(name: string, world: World<State>, fewest: number, most: number): void {
  describe(`the ${name}'s traffic`, () => {
    it(`has ${fewest} to ${most} frames/s, each message in its period`, () => {
      const frames = gather(makeTraffic(world, START_US, 1), START_US, START_US + 10 * SECOND_US, steady);
      assert.ok(frames.count >= fewest * 10 && frames.count <= most * 10, `${frames.count / 10} frames/s`);
      for (const { arbitrationId, periodMs } of world.messages) {
        const own = frames.filter((batch, i) => (batch.idWord[i]! & 0x1fffffff) === arbitrationId);
        const expected = 10_000 / periodMs;
        assert.ok(Math.abs(own.count - expected) <= 1, `${arbitrationId.toString(16)}: ${own.count} of ${expected}`);
      }
    });

    it("is the same however late the timer comes, with times that only go up", () => {
      let turn = 0;
      const late = (): number => [300, 14_000, 1000, 90_000, 2500, 240_000][turn++ % 6]!;
      const expected = gather(makeTraffic(world, START_US, 7), START_US, START_US + 4 * SECOND_US, steady);
      const actual = gather(makeTraffic(world, START_US, 7), START_US, START_US + 4 * SECOND_US, late);
      assert.deepEqual(actual, expected);
      for (let i = 1; i < actual.count; i++) assert.ok(actual.timestampUs[i]! > actual.timestampUs[i - 1]!);
      assert.ok(actual.timestampUs[actual.count - 1]! <= START_US + 4 * SECOND_US);
    });

    it("goes on after a pause without a burst, and after the clock was set back", () => {
      const traffic = makeTraffic(world, START_US, 1);
      gather(traffic, START_US, START_US + SECOND_US, steady);
      const batch = new FrameBatch(5000);
      traffic.run(START_US + 3600 * SECOND_US, batch);
      assert.ok(batch.count <= 1, `${batch.count} frames at once`);
      const later = gather(traffic, START_US + 3600 * SECOND_US, START_US + 3601 * SECOND_US, steady);
      assert.ok(later.count > fewest * 0.9 && later.count <= most);
      const back = gather(traffic, START_US + 60 * SECOND_US, START_US + 61 * SECOND_US, steady);
      assert.ok(back.count > fewest * 0.9 && back.count <= most, `${back.count} frames/s`);
    });

    it("stops at a full batch and goes on in the next one", () => {
      const nowUs = START_US + 200_000;
      const whole = new FrameBatch(1000);
      assert.equal(makeTraffic(world, START_US, 1).run(nowUs, whole), false);
      const traffic = makeTraffic(world, START_US, 1);
      const pieces = new FrameBatch(1000);
      const piece = new FrameBatch(16);
      let more = true;
      while (more) {
        piece.clear();
        more = traffic.run(nowUs, piece);
        pieces.append(piece);
      }
      assert.deepEqual(pieces, whole);
    });

    it("carries the values of its story in every signal", () => {
      const tell = world.tell(START_US, 3);
      for (const spec of world.messages) {
        const encoder = new MessageEncoder(spec);
        for (const seconds of [0, 1.5, 33, 71.2, 97, 140, 1000, 86_400]) {
          encoder.encode(tell(seconds));
          for (const signal of spec.signals) {
            if (typeof signal.value !== "function") continue;
            const bits = rawBits(encoder.payload, signal.startBit, signal.bits, signal.byteOrder === "big");
            const raw = signal.signed ? BigInt.asIntN(signal.bits, bits) : bits;
            assert.equal(raw, BigInt(rawOf(signal, signal.value(tell(seconds)))), `${spec.name}.${signal.name}`);
          }
        }
      }
    });

    it("has a layout in which every signal has bits of its own that hold its range", () => {
      for (const spec of world.messages) {
        let taken = 0n;
        for (const {
          name,
          startBit,
          bits,
          byteOrder,
          signed = false,
          scale = 1,
          offset = 0,
          min,
          max,
        } of spec.signals) {
          const probe = new MessageEncoder({
            ...spec,
            fill: 0,
            signals: [
              {
                name,
                startBit,
                bits,
                byteOrder: byteOrder ?? "little",
                min: 0,
                max: 2 ** 32,
                value: () => 2 ** bits - 1,
              },
            ],
          });
          probe.encode(world.tell(START_US, 1)(0));
          const used = rawBits(probe.payload, 0, spec.length * 8, false);
          assert.equal(used.toString(2).replaceAll("0", "").length, bits, `${spec.name}.${name} leaves the payload`);
          assert.equal(taken & used, 0n, `${spec.name}.${name} overlaps`);
          taken |= used;
          const [lowest, highest] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
          assert.ok(Math.round((min - offset) / scale) >= lowest, `${spec.name}.${name} min`);
          assert.ok(Math.round((max - offset) / scale) <= highest, `${spec.name}.${name} max`);
        }
      }
      const ids = world.messages.map(({ arbitrationId }) => arbitrationId);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(new Set(world.messages.map(({ name }) => name)).size, ids.length);
    });
  });
}

checkWorld("car", CAR, 600, 1000);
checkWorld("boat", BOAT, 230, 290);

describe("the car", () => {
  it("counts and protects its engine data", () => {
    const frames = gather(makeTraffic(CAR, START_US, 1), START_US, START_US + SECOND_US, steady);
    const engine = frames.filter((batch, i) => batch.idWord[i] === 0x0c0);
    for (let i = 0; i < engine.count; i++) {
      assert.equal(engine.payload(i)[6]! & 15, i % 16);
      assert.equal(engine.payload(i)[7], crc8(engine.payload(i), 7));
    }
  });

  it("warms up, drives, changes gear and brakes", () => {
    const tell = CAR.tell(START_US, 1);
    const { coolantCelsius, speedKmh } = { ...tell(1) };
    assert.ok(coolantCelsius < 25 && speedKmh === 0);
    assert.ok(tell(1200).coolantCelsius > 85);
    const gears = new Set<number>();
    let hardestBrake = 0;
    for (let seconds = 0; seconds < 200; seconds += 0.5) {
      const state = tell(seconds);
      gears.add(state.gear);
      hardestBrake = Math.max(hardestBrake, state.brakeBar);
      assert.ok(state.engineRpm > 700 && state.engineRpm < 4000, `${state.engineRpm} rpm at ${seconds} s`);
    }
    assert.deepEqual([...gears].sort(), [0, 1, 2, 3, 4, 5, 6]);
    assert.ok(hardestBrake > 15);
  });
});

describe("crc8", () => {
  it("is the one of SAE J1850: 0x4B over the digits 1 to 9", () => {
    assert.equal(crc8(new TextEncoder().encode("123456789"), -1), 0x4b);
  });
});

describe("the DBC files", () => {
  for (const [name, text] of Object.entries(dbcFiles())) {
    it(`${name} is what services/edge/dbc/generate.mjs writes`, () => {
      assert.equal(readFileSync(new URL(`../../../dbc/${name}`, import.meta.url), "utf8"), text);
    });
  }
});
