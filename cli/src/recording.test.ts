import assert from "node:assert/strict";
import { it } from "node:test";
import { FrameBatch } from "@canfleet/sdk";
import { Recording } from "./recording.ts";

it("a recording states the frames that its output is too slow for, where they are missing", () => {
  const output = { text: "", isBehind: false, write: (text: string) => void (output.text += text) };
  const recording = new Recording(output);
  const batch = new FrameBatch(2);
  for (const idWord of [0x123, 0x124])
    batch.push({ idWord, data: Uint8Array.of(1), timestampUs: 1_700_000_000_000_000 });
  recording.addFrames(batch, 1, "pi/can0");
  output.isBehind = true;
  recording.addFrames(batch, 2, "pi/can0");
  recording.addFrames(batch, 2, "pi/can0");
  output.isBehind = false;
  recording.addFrames(batch, 2, "pi/can0");
  recording.addLoss({ channel: "pi/can0", lost: { kernel: null } });
  assert.deepEqual(output.text.split("\n"), [
    "(1700000000.000000) pi-can0 123#01",
    "# lost 4 frames of pi-can0 at app",
    "(1700000000.000000) pi-can0 123#01",
    "(1700000000.000000) pi-can0 124#01",
    "# lost an unknown number of frames of pi-can0 at kernel",
    "",
  ]);
  assert.equal(recording.frames, 3);
  assert.equal(recording.lossSummary(), "at least 4 frames lost");
});
