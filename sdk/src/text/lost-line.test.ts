import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch } from "../can/frame-batch.ts";
import { appendLogLine } from "./candump.ts";
import { formatLostLines, parseLostLine } from "./lost-line.ts";

const RANGE = { epoch: 1_700_000_000_000_000, from: 5000, to: 6234 };

describe("lines about losses in a log", () => {
  it("say how many, where and which", () => {
    const text = formatLostLines({ lost: { edge: 1234 }, range: RANGE }, "pi-7-can0");
    assert.equal(text, "# lost 1234 frames of pi-7-can0 at edge, numbers 5000-6233 of epoch 1700000000000000\n");
    assert.deepEqual(parseLostLine(text), { channel: "pi-7-can0", place: "edge", frames: 1234, range: RANGE });
  });

  it("say unknown where the number is unknown, one line a place, and nothing where nothing was lost", () => {
    const text = formatLostLines({ lost: { kernel: null, link: 1, app: 0 } }, "can0");
    const [unknown = "", single = "", ...rest] = text.split("\n");
    assert.equal(unknown, "# lost an unknown number of frames of can0 at kernel");
    assert.equal(single, "# lost 1 frame of can0 at link");
    assert.deepEqual(rest, [""]);
    assert.deepEqual(parseLostLine(unknown), { channel: "can0", place: "kernel", frames: null });
    assert.deepEqual(parseLostLine(`${single}\r\n`), { channel: "can0", place: "link", frames: 1 });
  });

  it("are no frames and no malformed lines for readers of candump logs", () => {
    const batch = new FrameBatch(1);
    for (const lost of [{ edge: 2 }, { kernel: null }]) {
      assert.equal(appendLogLine(batch, formatLostLines({ lost, range: RANGE }, "can0")), undefined);
    }
    assert.equal(batch.count, 0);
  });

  it("are told from other remarks", () => {
    for (const line of ["# lost", "# lost many frames of can0 at hub", "# lost 1 frames of can0", "# found 1"]) {
      assert.equal(parseLostLine(line), undefined, line);
    }
  });
});
