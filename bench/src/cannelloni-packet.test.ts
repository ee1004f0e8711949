import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { payloadOffsets } from "./cannelloni-packet.ts";

const HEAD = [2, 0, 7];
const CLASSIC = [0x00, 0x00, 0x01, 0x23, 0x02, 0xaa, 0xbb];
const REMOTE = [0x40, 0x00, 0x01, 0x23, 0x08];
const FD = [0x80, 0x00, 0x01, 0x23, 0x83, 0x01, 0xcc, 0xdd, 0xee];
const THREE = Uint8Array.from([...HEAD, 0, 3, ...CLASSIC, ...REMOTE, ...FD]);

describe("payloadOffsets", () => {
  it("finds the payloads of classic, remote and CAN FD frames", () => {
    assert.deepEqual(payloadOffsets(THREE), [10, 17, 23]);
    assert.deepEqual(payloadOffsets(Uint8Array.from([...HEAD, 0, 0])), []);
  });

  it("takes no packet that is cut off anywhere", () => {
    for (let length = 0; length < THREE.length; length++) {
      assert.equal(payloadOffsets(THREE.subarray(0, length)), undefined, `${length} bytes`);
    }
  });

  it("takes no other version, kind or length above 64", () => {
    assert.equal(payloadOffsets(Uint8Array.from([1, 0, 7, 0, 0])), undefined);
    assert.equal(payloadOffsets(Uint8Array.from([2, 1, 7, 0, 0])), undefined);
    const long = [...HEAD, 0, 1, 0x00, 0x00, 0x01, 0x23, 0x80 | 65, 0x00, ...Array<number>(65).fill(0)];
    assert.equal(payloadOffsets(Uint8Array.from(long)), undefined);
  });
});
