import assert from "node:assert/strict";
import { it } from "node:test";
import { fileNameAt } from "./log-writer.ts";

it("a file's name takes the time it begins at", () => {
  const time = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
  assert.equal(fileNameAt("run-%Y%m%d-%H%M%S.log.gz", time), "run-20260102-030405.log.gz");
  assert.equal(fileNameAt("100%%-%x.log", time), "100%-%x.log");
});
