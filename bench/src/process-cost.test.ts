import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { costOf, residentBytes } from "./process-cost.ts";

describe("costOf", { skip: process.platform === "linux" ? false : "reads Linux's /proc" }, () => {
  it("grows with the work that a process does, and knows its memory", () => {
    const before = costOf([process.pid]);
    const cpuBefore = process.cpuUsage();
    let sum = 0;
    for (let i = 0; i < 5e7; i++) sum += i % 7;
    const worked = process.cpuUsage(cpuBefore);
    const resident = residentBytes([process.pid]);
    const after = costOf([process.pid]);
    assert.ok(sum > 0);
    assert.ok(after.cpuUs - before.cpuUs > (worked.user + worked.system) / 2);
    assert.ok(resident > 10e6 && after.peakRssBytes >= resident);
  });

  it("counts nothing for a process that is gone", () => {
    const { pid } = spawnSync("true");
    assert.deepEqual(costOf([pid]), { cpuUs: 0, peakRssBytes: 0 });
  });
});
