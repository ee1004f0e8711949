import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { GuestTest } from "./guest-reporter.ts";
import { runInGuest, skipWithoutGuest, umlAvailable, type GuestOptions } from "./uml.ts";

const REPORTER = fileURLToPath(new URL("./guest-reporter.js", import.meta.url));

/**
 * Runs a compiled file of tests in a guest and repeats each result here under its own name, so that every test counts
 * where it is seen. Skips with the reason where no guest can be booted.
 *
 * @param file absolute path, or path from the caller's working directory
 */
export function relayGuestTests(name: string, file: string, options: GuestOptions = {}): void {
  void test(name, { skip: skipWithoutGuest() }, async (t) => {
    assert.equal(umlAvailable(), undefined);
    const result = await runInGuest([process.execPath, `--test-reporter=${REPORTER}`, file], options);
    const finished = parseLines(result.stdout);
    for (const one of finished) {
      if (one.isSuite) continue;
      await t.test(one.name, { skip: one.skip ?? false }, () => {
        if (one.failure !== undefined) assert.fail(one.failure);
      });
    }
    const whole = `the file ran to its end (exit code ${result.code}, ${finished.length} results)`;
    await t.test("the file ran to its end", () => {
      const failed = finished.some((one) => one.failure !== undefined);
      assert.equal(result.code, failed ? 1 : 0, `${whole}\n${result.stderr}`);
      assert.ok(finished.length > 0, `${whole}\n${result.stdout}${result.stderr}`);
    });
  });
}

function parseLines(text: string): GuestTest[] {
  const lines = text.split("\n").filter((line) => line.startsWith('{"name":'));
  return lines.map((line) => JSON.parse(line) as GuestTest);
}
