import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { busStateOf, describeErrorFrame, isRestart, rxErrorsOf, txErrorsOf } from "./error-frame.ts";
import { FrameBatch } from "./frame-batch.ts";

/** A frame as cansend writes it. */
function frame(text: string): FrameBatch {
  const [id = "", data = ""] = text.split("#");
  return FrameBatch.of({ idWord: parseInt(id, 16), data: new Uint8Array(Buffer.from(data, "hex")) });
}

/** One frame a line. Those marked slcan were made by Linux 6.1's driver of that name, seen with candump. */
// prettier-ignore
const FRAMES: readonly (readonly [text: string, state: string | null, meaning: string])[] = [
  ["20000204#0004000000000060", "error-warning", "controller: receive errors at warning level; error counters tx 0 rx 96"], // slcan
  ["20000204#0020000000008200", "error-passive", "controller: error-passive by transmit errors; error counters tx 130 rx 0"], // slcan
  ["200000A8#0000001900000000", null, "protocol violation in ACK slot; no acknowledgement; bus error"], // slcan
  ["20000040#0000000000000000", "bus-off", "bus-off"], // slcan
  ["20000100#0000000000000000", "error-active", "controller restarted"],
  ["20000004#0040000000000000", "error-active", "controller: error-active again"],
  ["20000004#0008000000000000", "error-warning", "controller: transmit errors at warning level"],
  ["20000004#0018000000000000", "error-passive", "controller: transmit errors at warning level, error-passive by receive errors"],
  ["20000004#0003000000000000", null, "controller: receive buffer overflow, transmit buffer overflow"],
  ["20000004#0000000000000000", null, "controller"],
  ["20000004#0080000000000000", null, "controller: 0x80"],
  ["20000044#0020000000000000", "bus-off", "bus-off; controller: error-passive by transmit errors"],
  ["20000104#0008000000000000", "error-warning", "controller restarted; controller: transmit errors at warning level"],
  ["20000001#0000000000000000", null, "transmit timeout"],
  ["20000002#0000000000000000", null, "arbitration lost"],
  ["20000002#0B00000000000000", null, "arbitration lost in bit 11"],
  ["20000088#0000040A00000000", null, "protocol violation: stuff error in data field; bus error"],
  ["20000088#0000880800000000", null, "protocol violation: dominant bit could not be sent, while transmitting in CRC sequence; bus error"],
  ["20000008#000001FF00000000", null, "protocol violation: bit error in 0xff"],
  ["20000008#0000000000000000", null, "protocol violation"],
  ["20000010#0000000005000000", null, "transceiver: CANH shorted to battery"],
  ["20000010#0000000074000000", null, "transceiver: CANH no wire, CANL shorted to ground"],
  ["20000010#0000000080000000", null, "transceiver: CANL shorted to CANH"],
  ["20000010#0000000000000000", null, "transceiver"],
  ["20000200#0000000000007F80", null, "error counters tx 127 rx 128"],
  ["20000400#0000000000000000", null, "unknown class 0x400"],
  ["20000000#0000000000000000", null, "unspecified error"],
];

describe("error frames", () => {
  for (const [text, state, meaning] of FRAMES) {
    it(`${text} means ${meaning}`, () => {
      assert.equal(describeErrorFrame(frame(text), 0), meaning);
      assert.equal(busStateOf(frame(text), 0), state);
    });
  }

  it("tell counters only where they say so", () => {
    const counted = frame("20000204#0020000000008207");
    assert.deepEqual([txErrorsOf(counted, 0), rxErrorsOf(counted, 0)], [0x82, 7]);
    const uncounted = frame("20000004#0020000000008207");
    assert.deepEqual([txErrorsOf(uncounted, 0), rxErrorsOf(uncounted, 0)], [null, null]);
  });

  it("may be shorter than they should be: bytes of the next frame are not taken for theirs", () => {
    const batch = FrameBatch.of({ idWord: 0x20000214 }, { idWord: 0x123, data: new Uint8Array(8).fill(0xff) });
    assert.equal(describeErrorFrame(batch, 0), "controller; transceiver; error counters tx 0 rx 0");
    assert.equal(busStateOf(batch, 0), null);
  });

  it("are not mixed up with data frames of the same bits", () => {
    const data = frame("80000344#0030000000000102");
    assert.equal(describeErrorFrame(data, 0), "");
    assert.equal(isRestart(data.idWord[0]!), false);
    assert.deepEqual([busStateOf(data, 0), txErrorsOf(data, 0), rxErrorsOf(data, 0)], [null, null, null]);
  });

  it("keep their meaning with the bits that would mean EFF and RTR", () => {
    assert.equal(busStateOf(frame("E0000040#0000000000000000"), 0), "bus-off");
    assert.equal(isRestart(0x20000100), true);
  });
});
