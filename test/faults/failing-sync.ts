import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Why no process can be traced here; undefined when it can. */
export function noTracing(): string | undefined {
  const { error, status, stderr } = spawnSync("strace", ["-f", "-e", "trace=none", "true"], { encoding: "utf8" });
  if (error) return "strace is not installed";
  return status === 0 ? undefined : `no process may be traced: ${stderr.trim().split("\n").at(-1) ?? ""}`;
}

/**
 * Makes every fdatasync of a process fail with EIO.
 *
 * @returns what ends it
 * @throws Error when the process cannot be traced
 */
export async function failSyncs({ pid }: ChildProcess): Promise<() => Promise<void>> {
  const filter = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"];
  const tracer = spawn("strace", ["-f", "-p", String(pid), "-o", "/dev/null", ...filter], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(tracer, "exit");
  const lines = createInterface({ input: tracer.stderr });
  let said = "";
  for await (const line of lines) {
    said = line;
    if (line.includes(" attached")) break;
  }
  if (!said.includes(" attached")) throw new Error(said);
  return async () => {
    tracer.kill("SIGINT");
    await ended;
  };
}
