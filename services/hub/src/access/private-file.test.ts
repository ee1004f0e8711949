import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { withFileLock, writePrivateFile } from "./private-file.ts";

async function counterFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cf-lock-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "count");
  await writePrivateFile(path, "0");
  return path;
}

/** Loses counts unless nobody else is between its reading and its writing. */
function countUp(path: string, staleMs?: number): Promise<void> {
  return withFileLock(
    path,
    async (lock) => {
      const count = Number(await readFile(path, "utf8"));
      await lock.assertHeld();
      await writePrivateFile(path, `${count + 1}`);
    },
    staleMs,
  );
}

describe("a file of secrets", { timeout: 120_000 }, () => {
  it("is changed by one at a time, and nothing else stays in its folder", async (t) => {
    const path = await counterFile(t);
    await Promise.all(Array.from({ length: 25 }, () => countUp(path)));
    assert.equal(await readFile(path, "utf8"), "25");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(join(path, "..")), ["count"]);
  });

  it("is given free when a process ended while it held the lock", async (t) => {
    const path = await counterFile(t);
    for (const left of ["somebody", ""]) {
      await writeFile(`${path}.lock`, left);
      await countUp(path, 100);
    }
    assert.equal(await readFile(path, "utf8"), "2");
    assert.deepEqual(await readdir(join(path, "..")), ["count"]);
  });

  it("is not written by whoever lost the lock, and what fails leaves none", async (t) => {
    const path = await counterFile(t);
    const robbed = withFileLock(path, async (lock) => {
      await writeFile(`${path}.lock`, "somebody else");
      await lock.assertHeld();
    });
    await assert.rejects(robbed, /another process took .*count\.lock away/);
    assert.equal(await readFile(`${path}.lock`, "utf8"), "somebody else");
    await rm(`${path}.lock`);
    await assert.rejects(
      withFileLock(path, () => Promise.reject(new Error("no"))),
      /no/,
    );
    await countUp(path);
  });
});
