import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { checkEdgeConfig } from "@canfleet/edge";
import { loadSettings } from "./load.ts";

it("docs/configuration.md shows a file that is taken as it stands", async (t) => {
  const page = await readFile(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
  const yaml = /```yaml\n(.*?)```/s.exec(page)?.[1];
  assert.ok(yaml, "the page has an example");
  const cwd = await mkdtemp(join(tmpdir(), "cf-documented-"));
  t.after(() => rm(cwd, { recursive: true }));
  const file = join(cwd, "canfleet.yaml");
  await writeFile(file, yaml);
  const { edge, hub, client } = await loadSettings({ env: {}, cwd, file });
  const { buses = [], ledger: { spool: { dir = "", ...limits } = {}, ...memory } = {}, ...rest } = edge;
  const { checked, mistakes } = checkEdgeConfig({ ...rest, buses, ledger: { ...memory, spool: { dir, ...limits } } });
  assert.deepEqual(mistakes, []);
  assert.deepEqual(
    checked.buses.map(({ name, latestHz, gatherMs, links }) => [name, latestHz, gatherMs, links.length]),
    [
      ["can0", undefined, 1, 2],
      ["body", 10, 3, 0],
    ],
  );
  assert.equal(checked.ledger.spool?.dir, "/var/lib/canfleet/spool");
  assert.equal(checked.bridges.length, 1);
  assert.deepEqual([hub.listen, client.hub], [{ host: "127.0.0.1", port: 1883 }, "mqtt://my-hub:1883"]);
});
