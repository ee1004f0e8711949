import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch, parseFrame } from "@canfleet/sdk";
import { errorWords } from "./error-words.ts";

describe("an error frame in words", () => {
  const cases: [frame: string, words: string[]][] = [
    ["20000004#0008000000000000", ["controller-problem{tx-error-warning}"]],
    [
      "20000004#0030000000000880",
      ["controller-problem{rx-error-passive,tx-error-passive}", "error-counter-tx-rx{{8}{128}}"],
    ],
    ["20000040#0000000000000000", ["bus-off"]],
    ["20000100#0000000000000000", ["restarted-after-bus-off"]],
    ["20000002#0700000000000000", ["lost-arbitration{at bit 7}"]],
    ["20000088#0000041900000000", ["protocol-violation{{bit-stuffing-error}{acknowledge-slot}}", "bus-error"]],
  ];
  for (const [frame, words] of cases) {
    it(frame, () => assert.deepEqual(errorWords(FrameBatch.of(parseFrame(frame)), 0), words));
  }
});
