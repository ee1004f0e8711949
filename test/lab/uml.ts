import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const UML_RUN = fileURLToPath(new URL("../../lab/uml-run", import.meta.url));

export interface GuestOptions {
  /** vcan interfaces, vcan0 and up; they carry CAN FD. Default 1. */
  vcans?: number;
  /** Pairs of vxcan, vxcan0 joined with vxcan0p and so on: what one end sends comes "from the wire" at the other. Default 0. */
  vxcans?: number;
  /** Network namespaces pi1 and up, each with a can0 of its own. Default 0. */
  pis?: number;
  /** Seconds until the command is ended with code 124. Default 120. */
  limitSeconds?: number;
  /** Guest's memory in MiB. Default 1024. */
  memoryMib?: number;
  /** Working directory. Default: the caller's. */
  cwd?: string;
  /** Added to the caller's environment, which the guest gets whole. */
  env?: Record<string, string>;
}

export interface GuestResult {
  /** Exit code of the command; 124 time limit, 125 the guest did not come up (then `stderr` has its boot log). */
  code: number;
  stdout: string;
  stderr: string;
}

let unavailable: { reason: string | undefined } | undefined;

/**
 * Why no guest with a real SocketCAN can be booted on this machine; undefined when one can. Tries it once, in about
 * two seconds, because only a boot tells whether ptrace and memory are allowed here.
 */
export function umlAvailable(): string | undefined {
  unavailable ??= { reason: findObstacle() };
  return unavailable.reason;
}

function findObstacle(): string | undefined {
  if (process.platform !== "linux") return "user-mode-linux needs Linux";
  if (process.arch !== "x64") return `Debian's user-mode-linux is for x86-64 only, this is ${process.arch}`;
  const missing = ["linux.uml", "ip", "modprobe"].filter((program) => !hasProgram(program));
  if (missing.length > 0) {
    return `no ${missing.join(", ")} (Debian packages: user-mode-linux iproute2 kmod can-utils)`;
  }
  const trial = spawnSync(UML_RUN, ["-n", "1", "-t", "20", "--", "true"], { encoding: "utf8" });
  if (trial.status === 0) return undefined;
  return `user-mode-linux does not boot here: ${trial.stderr.trim().split("\n").at(-1) ?? "no message"}`;
}

function hasProgram(name: string): boolean {
  const path = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
  return spawnSync("sh", ["-c", `command -v ${name}`], { env: { PATH: path } }).status === 0;
}

/**
 * What a test that needs the guest passes as node:test's `skip`: the reason, or false where a guest can be booted.
 * With `CANFLEET_REQUIRE_REAL=1` nothing is skipped: a missing guest is then a failure.
 */
export function skipWithoutGuest(): string | false {
  if (process.env.CANFLEET_REQUIRE_REAL === "1") return false;
  return umlAvailable() ?? false;
}

/** Runs a command in a guest of its own (booted in about two seconds) and returns all that it wrote. */
export function runInGuest(command: string[], options: GuestOptions = {}): Promise<GuestResult> {
  const {
    vcans = 1,
    vxcans = 0,
    pis = 0,
    limitSeconds = 120,
    memoryMib = 1024,
    cwd = process.cwd(),
    env = {},
  } = options;
  const numbers = ["-n", `${vcans}`, "-x", `${vxcans}`, "-p", `${pis}`, "-t", `${limitSeconds}`, "-m", `${memoryMib}M`];
  const variables = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  // Set by node's own test runner for its children: a test file in the guest is none.
  const passedOn = { ...process.env };
  delete passedOn.NODE_TEST_CONTEXT;
  return new Promise((resolve, reject) => {
    const guest = spawn(UML_RUN, [...numbers, "-C", cwd, ...variables, "--", ...command], {
      env: passedOn,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    guest.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    guest.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    guest.on("error", reject);
    guest.on("close", (code) => resolve({ code: code ?? 125, stdout, stderr }));
  });
}
