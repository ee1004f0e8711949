// Builds the native SocketCAN driver: run by npm at install and by the root's build script. Never fails an install:
// where it cannot be built one line says what is missing, and the edge says so again when that driver is asked for.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const SOURCES = readdirSync(join(HERE, "src")).map((name) => join(HERE, "src", name));
const TARGET = join(HERE, "build", "Release", "canfleet_socketcan.node");
const CURE = "install a C compiler and Node's headers (Debian: build-essential), then: npm rebuild @canfleet/edge";
// Only where npm has to fetch headers does it take longer than a second.
const BUILD_LIMIT_MS = 180_000;

function main() {
  if (process.platform !== "linux") {
    console.log("native CAN driver: skipped, SocketCAN needs Linux");
    return;
  }
  if (isUpToDate()) return;
  mkdirSync(dirname(TARGET), { recursive: true });
  const failures = [];
  if (compile(failures) || runNodeGyp(failures)) return;
  console.log(`native CAN driver: not built (${failures.join("; ")}): ${CURE}`);
}

/** It is newer than its sources and loads: a folder copied from a machine of another kind is built anew. */
function isUpToDate() {
  if (!existsSync(TARGET)) return false;
  const built = statSync(TARGET).mtimeMs;
  return SOURCES.every((source) => statSync(source).mtimeMs <= built) && loads(TARGET) === undefined;
}

/** Why an addon cannot be loaded into this Node; undefined where it can. */
function loads(file) {
  try {
    createRequire(import.meta.url)(file);
    return undefined;
  } catch (error) {
    return firstLine(error.message);
  }
}

/** The compiler alone, against headers that are here already: one second, and no network. */
function compile(failures) {
  const headers = findHeaders();
  if (!headers) {
    failures.push("no Node headers found");
    return false;
  }
  const compiler = [process.env.CC, "cc", "gcc", "clang"].find((name) => name && hasProgram(name));
  if (!compiler) {
    failures.push("no C compiler found");
    return false;
  }
  // Moved into place when it is whole, so that builds at the same time do not meet half a file.
  const draft = TARGET.replace(/\.node$/, `-${process.pid}.node`);
  const flags = ["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-I", headers];
  const sources = SOURCES.filter((source) => source.endsWith(".c"));
  const [command, ...prefix] = compiler.split(" ");
  const result = spawnSync(command, [...prefix, ...flags, "-o", draft, ...sources], { encoding: "utf8" });
  const problem = result.status === 0 ? loads(draft) : firstError(result.stderr);
  if (problem !== undefined) {
    failures.push(`${compiler}: ${problem}`);
    rmSync(draft, { force: true });
    return false;
  }
  renameSync(draft, TARGET);
  return true;
}

function findHeaders() {
  const { npm_config_nodedir: nodedir, NODEDIR, npm_config_devdir: devdir } = process.env;
  const version = process.versions.node;
  const candidates = [
    nodedir && join(nodedir, "include", "node"),
    NODEDIR && join(NODEDIR, "include", "node"),
    join(dirname(process.execPath), "..", "include", "node"),
    join(devdir ?? join(homedir(), ".cache", "node-gyp"), version, "include", "node"),
  ];
  return candidates.find((folder) => folder && ["node_api.h", "uv.h"].every((file) => existsSync(join(folder, file))));
}

function runNodeGyp(failures) {
  // npm names its own node-gyp in npm_config_node_gyp; outside npm it may be on the PATH.
  const script = process.env.npm_config_node_gyp;
  const command = script ? [process.execPath, script] : hasProgram("node-gyp") ? ["node-gyp"] : undefined;
  if (!command) {
    failures.push("no node-gyp found");
    return false;
  }
  const args = [...command.slice(1), "rebuild", "--silent", "-C", HERE];
  const result = spawnSync(command[0], args, { cwd: HERE, encoding: "utf8", timeout: BUILD_LIMIT_MS });
  const problem = result.status === 0 ? loads(TARGET) : firstError(result.stderr);
  if (problem !== undefined) failures.push(`node-gyp: ${problem}`);
  return problem === undefined;
}

function hasProgram(name) {
  const program = name.split(" ")[0];
  if (program.includes("/")) return existsSync(program);
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)));
}

function firstError(text) {
  const lines = (text ?? "").split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "failed without a word").trim();
}

function firstLine(text) {
  return text.split("\n")[0];
}

main();
