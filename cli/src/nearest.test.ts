import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { editDistance, nearest } from "./nearest.ts";

describe("the nearest word", () => {
  const words = ["dump", "demo", "doctor", "record", "send", "gen"];
  const cases: [typed: string, meant: string | undefined][] = [
    ["dmp", "dump"],
    ["dupm", "dump"],
    ["recrod", "record"],
    ["doc", "doctor"],
    ["de", "demo"],
    ["xyz", undefined],
    ["d", undefined],
    ["", undefined],
    ["convert", undefined],
  ];
  for (const [typed, meant] of cases) {
    it(`to "${typed}" is ${meant ?? "none"}`, () => assert.equal(nearest(typed, words), meant));
  }

  it("counts a swap of neighbours as one slip", () => {
    assert.equal(editDistance("cuont", "count"), 1);
    assert.equal(editDistance("", "abc"), 3);
    assert.equal(editDistance("same", "same"), 0);
  });
});
