import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FLAG_BRS, FLAG_FD, FrameBatch, type FrameParts } from "@canfleet/sdk";
import { BusLoad } from "./bus-load.ts";

/** Without runs of equal bits: a CAN FD frame of 22 + 128 + 28 + 9 + 3 = 190 bits, exactly. */
const FD_190: FrameParts = { idWord: 0x555, data: new Uint8Array(16).fill(0x55), flags: FLAG_FD };
/** The same with BRS: 17 + 9 + 3 = 29 bits at the nominal rate, 5 + 128 + 28 = 161 at the data bit rate. */
const BRS_29_161: FrameParts = { ...FD_190, flags: FLAG_FD | FLAG_BRS };

const many = (count: number, frame: FrameParts): FrameBatch =>
  FrameBatch.of(...Array.from({ length: count }, () => frame));

function load(bitrate: number | null, dataBitrate: number | null = null): BusLoad {
  const bus = new BusLoad(0);
  bus.setBitrates(bitrate, dataBitrate, 0);
  return bus;
}

describe("the load of a bus", () => {
  it("is the share of the time that its frames took", () => {
    const bus = load(500_000);
    bus.add(many(1000, FD_190));
    assert.equal(bus.take(1000), 38); // 190,000 of 500,000 bits
    bus.add(many(1000, FD_190));
    assert.equal(bus.take(1500), 76); // the same in half a second
    assert.equal(bus.take(2500), 0);
  });

  it("of classic frames has stuff bits, acknowledgement and interframe space in it", () => {
    const bus = load(500_000);
    bus.add(many(1000, { idWord: 0x555, data: new Uint8Array(8).fill(0x55) }));
    assert.equal(bus.take(1000), 22.3); // 111 bits, and half a stuff bit to be expected in the CRC
  });

  it("takes the data bit rate for what was sent with it", () => {
    const bus = load(500_000, 2_000_000);
    bus.add(many(1000, BRS_29_161));
    assert.equal(bus.take(1000), 13.9); // 58 ms + 80.5 ms
  });

  it("is not known without a bit rate, nor with frames at a data bit rate that is not known", () => {
    const unknown = load(null);
    unknown.add(many(10, FD_190));
    assert.equal(unknown.take(1000), null);
    const nominalOnly = load(500_000);
    nominalOnly.add(many(10, BRS_29_161));
    assert.equal(nominalOnly.take(1000), null);
    nominalOnly.add(many(10, FD_190));
    assert.equal(nominalOnly.take(2000), 0.4);
  });

  it("counts frames that the kernel dropped, and is not known where nobody counted them", () => {
    const bus = load(500_000);
    bus.add(many(500, FD_190));
    bus.lost(500);
    assert.equal(bus.take(1000), 38);
    bus.add(many(500, FD_190));
    bus.lost(null);
    bus.lost(5);
    assert.equal(bus.take(2000), null);
    bus.lost(5);
    assert.equal(bus.take(3000), null);
    assert.equal(bus.take(4000), 0);
  });

  it("never exceeds 100", () => {
    const bus = load(125_000);
    bus.add(many(1000, FD_190));
    assert.equal(bus.take(1000), 100);
  });

  it("begins anew with another bit rate, not with the same again", () => {
    const bus = load(500_000);
    bus.add(many(1000, FD_190));
    bus.setBitrates(500_000, null, 500);
    assert.equal(bus.take(1000), 38);
    bus.add(many(1000, FD_190));
    bus.setBitrates(250_000, null, 1500);
    bus.add(many(100, FD_190));
    assert.equal(bus.take(2000), 15.2); // 19,000 bits of the 125,000 since then
  });
});
