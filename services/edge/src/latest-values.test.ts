import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch } from "@canfleet/sdk";
import { LatestValues } from "./latest-values.ts";

describe("LatestValues", () => {
  it("hands on the newest frame of each id, by time, at its rate", (context) => {
    context.mock.timers.enable({ apis: ["setInterval"] });
    const out: FrameBatch[] = [];
    const latest = new LatestValues(10, (batch) => out.push(batch.clone()));
    const frame = (idWord: number, byte: number, timestampUs: number) => ({
      idWord,
      data: Uint8Array.of(byte),
      timestampUs,
    });
    latest.add(FrameBatch.of(frame(1, 0xa, 1), frame(2, 0xb, 2), frame(1, 0xc, 3)));
    latest.add(FrameBatch.of({ idWord: 2, data: Uint8Array.of(1, 2), timestampUs: 4 }));
    context.mock.timers.tick(99);
    assert.equal(out.length, 0);
    context.mock.timers.tick(1);
    assert.equal(out.length, 1);
    assert.deepEqual([...out[0]!.idWord], [2, 1, 2]);
    assert.deepEqual([...out[0]!.data], [0xb, 0xc, 1, 2]);
    assert.equal(latest.skipped, 1);
    context.mock.timers.tick(100);
    assert.equal(out.length, 1);
    latest.close();
  });
});
