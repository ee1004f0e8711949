import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { BENCH_FOLDER } from "./paths.ts";

const CFLAGS = ["-O2", "-Wall", "-Wextra", "-std=gnu11"];

/**
 * A program of bench/native, compiled when it is missing or older than its source.
 *
 * @throws Error with the compiler's words
 */
export function nativeProgram(name: "feeder" | "mqtt-load"): string {
  return compile(`${name}.c`, name, []);
}

/** The library that gives a program CAN sockets; `bits` are the program's own. */
export function canShim(bits: 32 | 64): string {
  const flags = ["-fPIC", "-shared", ...(bits === 32 ? ["-m32"] : [])];
  return compile("can-shim.c", `can-shim${bits}.so`, flags);
}

function compile(source: string, target: string, flags: string[]): string {
  const from = join(BENCH_FOLDER, "native", source);
  const to = join(BENCH_FOLDER, "build", target);
  if (existsSync(to) && statSync(to).mtimeMs > statSync(from).mtimeMs) return to;
  mkdirSync(join(BENCH_FOLDER, "build"), { recursive: true });
  const result = spawnSync("cc", [...CFLAGS, ...flags, "-o", to, from, "-ldl"], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`cannot compile ${source}: ${result.error?.message ?? result.stderr}`);
  return to;
}
