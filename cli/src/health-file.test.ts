import assert from "node:assert/strict";
import { existsSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HealthFile } from "./health-file.ts";
import { Place } from "./running-canfleet.suite.ts";

const LIMIT_MS = 20_000;
const LOOK_MS = 10;

let place: Place;
before(async () => {
  place = await Place.make();
});
after(() => place.remove());

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + LIMIT_MS; !isSo();) {
    assert.ok(performance.now() < endMs, what);
    await sleep(LOOK_MS);
  }
}

it("an edge that was told has a health file while it runs", async () => {
  const file = join(place.folder, "alive");
  const env = { CANFLEET_HEALTH_FILE: file };
  const edge = place.start("edge sim:healthy --name a --hub mqtt://127.0.0.1:1".split(" "), env);
  await until("the file is there", () => existsSync(file));
  edge.kill("SIGTERM");
  assert.equal((await edge.ended()).code, 0);
  assert.equal(existsSync(file), false);
});

it("a file that cannot be written is told once, and the edge goes on", async () => {
  const file = join(place.folder, "no", "such", "folder");
  const edge = place.start("edge sim:unhealthy --name a --hub mqtt://127.0.0.1:1".split(" "), {
    CANFLEET_HEALTH_FILE: file,
  });
  await edge.says(/health file: .*no such file/);
  edge.kill("SIGTERM");
  const { code, stderr } = await edge.ended();
  assert.equal(code, 0);
  assert.equal(stderr.match(/health file/g)?.length, 1);
});

it("the file is written again each period, whoever made it old", async () => {
  const file = join(place.folder, "renewed");
  const warnings: string[] = [];
  const health = new HealthFile(file, { warn: (text) => warnings.push(text), periodMs: 20 });
  for (let round = 0; round < 3; round++) {
    await until("the file is there", () => existsSync(file));
    utimesSync(file, 0, 0);
    await until("the file is young again", () => statSync(file).mtimeMs > 0);
  }
  await health.close();
  assert.deepEqual(warnings, []);
  assert.equal(existsSync(file), false);
});
