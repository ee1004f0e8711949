/**
 * What `npm test` runs after the build: every compiled `*.test.js` of every workspace, with node's own runner.
 *
 *     npm test                    all tests
 *     npm test -- batch tcp       the files whose path contains one of these words
 *     npm test -- --test-only     options for `node --test`
 *
 * Ends with the tests that were skipped and why. With CANFLEET_REQUIRE_REAL=1, as in CI, a skipped test is a failure:
 * nothing that a machine was set up for may quietly not run.
 *
 * With CANFLEET_SECOND_LOOK=1, as in CI, up to three failed files run once more, one at a time: these tests start kernels,
 * brokers and containers, and a machine that was too busy for them shows itself by what passes when it has the machine to
 * itself. Both results are printed. A frame unexplained, twice or out of order gets no second look: that is a fault
 * however rarely it shows.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUTCOME_REPORTER = fileURLToPath(new URL("outcome-reporter.mjs", import.meta.url));

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
/** More failed files than these are no bad luck. */
const SECOND_LOOKS = 3;
/** Words of a ledger that does not balance. */
const NEVER_LUCK = /unexplained|\btwice\b|disordered/;

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

function readOutcomes(file) {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Runs these files. Gives whether all passed, and each test that failed or was skipped. */
function run(files, options, concurrency) {
  const folder = mkdtempSync(join(tmpdir(), "canfleet-test-"));
  const outcomeFile = join(folder, "outcomes");
  try {
    const runner = ["--test", `--test-concurrency=${concurrency}`, `--test-timeout=${HANG_GUARD_MS}`];
    const reporters = [
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      `--test-reporter=${OUTCOME_REPORTER}`,
      `--test-reporter-destination=${outcomeFile}`,
    ];
    const { status, signal } = spawnSync(
      process.execPath,
      ["--enable-source-maps", ...runner, ...reporters, ...options, ...files],
      { cwd: ROOT, stdio: "inherit" },
    );
    if (signal !== null) console.log(`the runner was ended by ${signal}`);
    const outcomes = readOutcomes(outcomeFile);
    return {
      passed: status === 0,
      interrupted: signal !== null,
      skips: outcomes.filter(({ kind }) => kind === "skip"),
      failures: outcomes.filter(({ kind }) => kind === "fail"),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Source of a compiled test file. */
function sourceOf(file) {
  const [compiled, sources] = Object.entries(COMPILED).find(([folder]) => file.startsWith(`${folder}/`));
  return join(sources, relative(compiled, file)).replace(/js$/, "ts");
}

/** The test file of a failure: node names the place of the call, which can be a helper that is given the test's name. */
function fileOf({ file, name, isTop }, files) {
  const place = relative(ROOT, file);
  const own = files.find((one) => one === place || sourceOf(one) === place);
  if (own !== undefined || !isTop) return own;
  return files.find((one) => readFileSync(join(ROOT, sourceOf(one)), "utf8").includes(JSON.stringify(name)));
}

/** @returns files that deserve a second look, or [] when there are none or too many, or when a ledger did not balance */
function secondLooks({ interrupted, failures }, files) {
  // Each failure shows at the top level, too.
  const failed = new Set(failures.filter(({ isTop }) => isTop).map((failure) => fileOf(failure, files)));
  const luck = !failures.some(({ reason }) => NEVER_LUCK.test(reason));
  return !interrupted && luck && !failed.has(undefined) && failed.size <= SECOND_LOOKS ? [...failed] : [];
}

function runAll(files, options) {
  const first = run(files, options, CONCURRENCY);
  if (first.passed || process.env.CANFLEET_SECOND_LOOK !== "1") return first;
  const again = secondLooks(first, files);
  if (again.length === 0) return first;
  console.log(`\na second look, one at a time: ${again.join(", ")}`);
  const second = run(again, options, 1);
  if (second.passed) console.log(`passed at the second look, so look into it: ${again.join(", ")}`);
  return { ...second, skips: [...first.skips, ...second.skips] };
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

const { passed, skips } = runAll(files, options);
printSkips(skips);
const refused = process.env.CANFLEET_REQUIRE_REAL === "1" && skips.length > 0;
if (refused) console.log("CANFLEET_REQUIRE_REAL=1: a skipped test is a failure");
process.exitCode = passed && !refused ? 0 : 1;
