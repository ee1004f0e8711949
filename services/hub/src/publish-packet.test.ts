import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodePublish, encodePublishHead } from "./publish-packet.ts";

describe("PUBLISH", () => {
  it("is the header, the topic and the payload at QoS 0", () => {
    const bytes = encodePublish("a/b", Buffer.from("xyz"), false);
    assert.equal(
      bytes.toString("hex"),
      "30" + // PUBLISH, QoS 0
        "08" + // remaining length
        "0003612f62" + // topic a/b
        "78797a", // payload
    );
  });

  it("carries QoS, RETAIN and the packet identifier", () => {
    assert.equal(encodePublishHead("a", 2, 1, true, 0x1234).toString("hex"), "33" + "07" + "000161" + "1234");
    assert.equal(encodePublishHead("a", 2, 2, false, 1).toString("hex"), "34" + "07" + "000161" + "0001");
  });

  it("counts a topic in bytes of UTF-8", () => {
    assert.equal(encodePublish("ü", Buffer.alloc(0), false).toString("hex"), "30" + "04" + "0002c3bc");
  });

  // Remaining length is 2 + topic 1 + payload; the limits of 2.2.3.
  for (const [payload, header] of [
    [124, "307f"],
    [125, "308001"],
    [16_380, "30ff7f"],
    [16_381, "30808001"],
    [2_097_148, "30ffff7f"],
    [2_097_149, "3080808001"],
  ] as const) {
    it(`has the right length bytes for a payload of ${payload}`, () => {
      assert.equal(encodePublishHead("t", payload, 0, false, 0).toString("hex"), `${header}000174`);
    });
  }
});
