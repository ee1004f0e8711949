import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LinkReport } from "./link-process.ts";
import { linkSpecs } from "./link-specs.ts";
import { Network, networkProblem } from "./network.ts";
import { ask, kill, spawn } from "./rig.ts";

const LIMIT_MS = 90_000;
/** Longer than any time to live, and shorter than an end takes to find the other one dead. */
const STALL_MS = 6_000;
/** Oldest frame that may come out: an extended link's default time to live, rounded up; on records two looks at a stall, and a half. */
const OLDEST_MS = { extended: 505, records: 3_000 };

type Reports = { [id: string]: LinkReport };

it("R17 nothing that a stalled raw link held up comes out too late", { skip: networkProblem() }, async (t) => {
  const network = await Network.start(t);
  const [edges, hosts] = linkSpecs(network, ["both"]);
  const [edge, host] = await Promise.all([
    spawn("link-process.js", [JSON.stringify(edges)], { within: network.far }),
    spawn("link-process.js", [JSON.stringify(hosts)], { within: network.near }),
  ]);
  t.after(() => Promise.all([kill(edge), kill(host)]).then(() => undefined));
  /** What the edges say once each of them has so many frames more. */
  const moreFrames = async (frames: number, than: Reports = {}): Promise<Reports> => {
    for (const endMs = performance.now() + LIMIT_MS; ;) {
      const reports = (await ask(edge)) as Reports;
      const missing = edges.filter(({ id }) => reports[id]!.received < (than[id]?.received ?? 0) + frames);
      if (missing.length === 0) return reports;
      assert.ok(performance.now() < endMs, `no frames on ${missing.map(({ id }) => id).join("; ")}`);
      await sleep(100);
    }
  };
  await moreFrames(5);
  network.lose(1);
  await sleep(STALL_MS);
  const stalled = (await ask(edge)) as Reports;
  network.lose(0);
  const after = await moreFrames(5, stalled);
  for (const [id, { oldestMs, late, ends }] of Object.entries(after)) {
    const limitMs = OLDEST_MS[id.startsWith("auto") ? "extended" : "records"];
    console.log(`R17 ${id}: oldest ${oldestMs} ms (${limitMs}), ${late} too late, ${ends.length} ends`);
    assert.ok(oldestMs <= limitMs, `${id}: a frame of ${oldestMs} ms came out`);
    assert.ok(ends.length > 0 || late > 0, `${id}: no frame was held up`);
  }
});
