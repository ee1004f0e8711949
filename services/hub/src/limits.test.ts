import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { it } from "node:test";
import { DEFAULT_LIMITS, LIMIT_RANGES, type HubLimits, type NumericLimit } from "./limits.ts";

it("docs/security.md lists every limit with its default and range", async () => {
  const page = await readFile(new URL("../../../docs/security.md", import.meta.url), "utf8");
  const section = /\n## Limits\n(.*?)\n## /s.exec(page)?.[1] ?? "";
  const table = new Map<string, string>();
  for (const [, name, value, range, why] of section.matchAll(/^\| `(\w+)` +\| ([^|]*) \| ([^|]*) \| ([^|]+) \|$/gm)) {
    table.set(name!, `${value!.trim()} ${range!.trim()}`.trim());
    assert.ok(why!.trim().length > 20, `${name} says why`);
  }
  const wanted = Object.entries(DEFAULT_LIMITS).map(([name, value]: [string, HubLimits[keyof HubLimits]]) => {
    if (typeof value !== "number") return [name, value.join(", ")];
    const [min, max] = LIMIT_RANGES[name as NumericLimit];
    return [name, `${value} ${min}–${max}`];
  });
  assert.deepEqual([...table], wanted);
});
