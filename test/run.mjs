/**
 * What `npm test` runs after the build: every compiled `*.test.js` of every workspace, with node's own runner.
 *
 *     npm test                    all tests
 *     npm test -- batch tcp       the files whose path contains one of these words
 *     npm test -- --test-only     options for `node --test`
 *
 * Ends with the tests that were skipped and why. With CANFLEET_REQUIRE_REAL=1, as in CI, a skipped test is a failure:
 * nothing that a machine was set up for may quietly not run.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SKIP_REPORTER = fileURLToPath(new URL("skip-reporter.mjs", import.meta.url));

/** Compiled folder → folder of its sources. */
const COMPILED = {
  "sdk/dist": "sdk/src",
  "services/edge/dist": "services/edge/src",
  "services/hub/dist": "services/hub/src",
  "cli/dist": "cli/src",
  "test/dist": "test",
  "bench/dist": "bench/src",
};

/** Ends a test that hangs, ms. No test is decided by it: the slowest takes a few minutes on a loaded machine. */
const HANG_GUARD_MS = 900_000;
/** Test files at a time: one that waits for a guest's kernel, one that computes. */
const CONCURRENCY = 2;

function findTests() {
  return Object.entries(COMPILED).flatMap(([compiled, sources]) => {
    if (!existsSync(join(ROOT, compiled))) return [];
    const names = readdirSync(join(ROOT, compiled), { recursive: true });
    return names
      .filter((name) => name.endsWith(".test.js"))
      .filter((name) => existsSync(join(ROOT, sources, name.replace(/js$/, "ts")))) // not left over from a renamed one
      .map((name) => join(compiled, name))
      .sort();
  });
}

function readSkips(file) {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function printSkips(skips) {
  const lines = skips.map(({ name, file, reason }) => `  ${relative(ROOT, file)} › ${name}: ${reason}`);
  console.log(skips.length === 0 ? "no test was skipped" : `skipped: ${skips.length}\n${lines.join("\n")}`);
}

const given = process.argv.slice(2);
const options = given.filter((argument) => argument.startsWith("-"));
const words = given.filter((argument) => !argument.startsWith("-"));
const files = findTests().filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
if (files.length === 0) {
  console.error(`no compiled test file${words.length > 0 ? ` contains ${words.join(" or ")}` : ""}`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), "canfleet-test-"));
const skipFile = join(folder, "skips");
try {
  const runner = ["--test", `--test-concurrency=${CONCURRENCY}`, `--test-timeout=${HANG_GUARD_MS}`];
  const reporters = [
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-reporter=${SKIP_REPORTER}`,
    `--test-reporter-destination=${skipFile}`,
  ];
  const { status, signal } = spawnSync(
    process.execPath,
    ["--enable-source-maps", ...runner, ...reporters, ...options, ...files],
    { cwd: ROOT, stdio: "inherit" },
  );
  const skips = readSkips(skipFile);
  printSkips(skips);
  const refused = process.env.CANFLEET_REQUIRE_REAL === "1" && skips.length > 0;
  if (refused) console.log("CANFLEET_REQUIRE_REAL=1: a skipped test is a failure");
  if (signal !== null) console.log(`the runner was ended by ${signal}`);
  process.exitCode = status === 0 && !refused ? 0 : status === 0 ? 1 : (status ?? 1);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
