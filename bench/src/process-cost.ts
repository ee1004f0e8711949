import { readdirSync, readFileSync } from "node:fs";

/** What a process and its descendants took so far. */
export interface ProcessCost {
  /** CPU time, user and system, µs. */
  cpuUs: number;
  /** Largest resident memory that any of them had, added up, bytes. */
  peakRssBytes: number;
}

/** Sums over the processes and all their children, read from /proc. A process that is gone counts as nothing. */
export function costOf(pids: readonly number[]): ProcessCost {
  const cost = { cpuUs: 0, peakRssBytes: 0 };
  for (const pid of withDescendants(pids)) {
    cost.cpuUs += cpuOf(pid);
    cost.peakRssBytes += peakOf(pid);
  }
  return cost;
}

function withDescendants(pids: readonly number[]): number[] {
  const all = [...pids];
  for (const pid of all) {
    for (const thread of list(`/proc/${pid}/task`)) {
      all.push(...read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number));
    }
  }
  return [...new Set(all)];
}

/**
 * The scheduler's own sum in ns where the kernel keeps it (`schedstat`), because the utime and stime of
 * /proc/PID/stat come in ticks of 10 ms; those where it does not.
 */
function cpuOf(pid: number): number {
  const precise = list(`/proc/${pid}/task`).map((thread) =>
    Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0]),
  );
  const us = precise.reduce((sum, ns) => sum + ns / 1000, 0);
  return us > 0 ? us : ticksOf(pid) * 10_000;
}

function ticksOf(pid: number): number {
  // The name in brackets may hold anything, brackets and spaces too.
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Resident memory of the processes now, bytes. */
export function residentBytes(pids: readonly number[]): number {
  return withDescendants(pids).reduce(
    (sum, pid) => sum + Number(/VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024,
    0,
  );
}

/** Times that the processes gave up the CPU to wait: how often something woke them. */
export function wakeUps(pids: readonly number[]): number {
  const threads = withDescendants(pids).flatMap((pid) =>
    list(`/proc/${pid}/task`).map((thread) => read(`/proc/${pid}/task/${thread}/status`)),
  );
  return threads.reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0), 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
