import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PacketGuard } from "./packet-guard.ts";
import { encodePublish } from "./publish-packet.ts";

const PING = Buffer.from([0xc0, 0]);

describe("a packet guard", () => {
  it("admits packets up to the limit, however the bytes are cut", () => {
    const bytes = Buffer.concat([PING, encodePublish("t", Buffer.alloc(297), false), PING]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const guard = new PacketGuard(300);
      assert.ok(guard.admits(bytes.subarray(0, cut)) && guard.admits(bytes.subarray(cut)), `cut at ${cut}`);
      assert.equal(guard.receivedBytes, bytes.length);
    }
  });

  it("refuses a packet at its length, one byte at a time", () => {
    const bytes = Buffer.concat([PING, encodePublish("t", Buffer.alloc(298), false)]);
    const guard = new PacketGuard(300);
    const refusedAt = [...bytes].findIndex((byte) => !guard.admits(Uint8Array.of(byte)));
    assert.equal(refusedAt, 4, "PINGREQ has 2 bytes, then type, low and high length byte");
  });

  it("refuses a fifth length byte", () => {
    const guard = new PacketGuard(2 ** 30);
    assert.equal(guard.admits(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01)), false);
  });
});
