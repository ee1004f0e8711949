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
    const finished = readResults(result.stdout);
    for (const line of result.stdout.split("\n")) if (line !== "" && !isResult(line)) t.diagnostic(line);
    for (const { name, skip, failure } of finished) {
      await t.test(name, { skip: skip ?? false }, () => {
        if (failure !== undefined) throw failureInGuest(failure);
      });
    }
    await t.test("the file ran to its end", () => {
      const failed = finished.some((one) => one.failure !== undefined);
      const found = `${finished.length} results, ${failed ? "some" : "none"} failed\n${result.stderr}`;
      assert.equal(result.code, failed ? 1 : 0, found);
      assert.ok(finished.length > 0, found);
    });
  });
}

const SUBTESTS_FAILED = /subtests? failed/;

function isResult(line: string): boolean {
  return line.startsWith('{"name":');
}

/** An error whose stack is that of the test in the guest. */
function failureInGuest(stack: string): Error {
  const error = new Error(stack.split("\n")[0]);
  error.stack = stack;
  return error;
}

/** The tests, with the names of the suites they are in put before their own. A suite comes after what is in it. */
function readResults(text: string): GuestTest[] {
  const results: GuestTest[] = [];
  for (const line of text.split("\n")) {
    if (!isResult(line)) continue;
    const one = JSON.parse(line) as GuestTest;
    if (!one.isSuite) {
      results.push(one);
      continue;
    }
    for (let i = results.length - 1; i >= 0 && results[i]!.nesting > one.nesting; i--) {
      results[i]!.name = `${one.name}: ${results[i]!.name}`;
      results[i]!.nesting--;
    }
    // Its hook failed, not one of its tests: nothing else says so.
    if (one.failure !== undefined && !SUBTESTS_FAILED.test(one.failure))
      results.push({ ...one, name: `${one.name}: hook` });
  }
  return results;
}
