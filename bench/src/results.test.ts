import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tabulate, toMarkdown, type Sample } from "./results.ts";

const SAMPLES: Sample[] = [
  { table: "t", contender: "peer", repeat: 0, measures: { taken: 100, lostShare: 0 } },
  { table: "t", contender: "ours", repeat: 0, measures: { taken: 300, lostShare: 1 } },
  { table: "t", contender: "peer", repeat: 1, measures: { taken: 50, lostShare: 0 } },
  { table: "t", contender: "ours", repeat: 1, measures: { taken: 200, lostShare: 0 } },
  { table: "t", contender: "peer", repeat: 2, measures: { taken: 90 } },
];

describe("results", () => {
  it("compare with the baseline of the same repeat, not with its median", () => {
    const [table] = tabulate(SAMPLES);
    assert.deepEqual(table?.rows[1]?.cells.taken, { median: 250, least: 200, most: 300, ratio: 3.5 });
    assert.equal(table.rows[1].cells.lostShare?.ratio, null);
  });

  it("survive their way through JSON, and show what is missing as a dash", () => {
    const tables = JSON.parse(
      JSON.stringify(tabulate([...SAMPLES, { ...SAMPLES[0]!, contender: "x", measures: {} }])),
    ) as ReturnType<typeof tabulate>;
    const text = toMarkdown(tables[0]!);
    assert.match(text, /\| ours \| 250 \(200–300\) \*\*×3\.5\*\* \|/);
    assert.match(text, /\| x \| – \| – \|/);
  });
});
