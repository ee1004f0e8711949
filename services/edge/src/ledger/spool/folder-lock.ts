import { readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "./file-errors.ts";

const FILE = "lock";

interface Owner {
  pid: number;
  /** When the process began, in the kernel's ticks; undefined where there is no /proc. */
  startTicks?: string | undefined;
  bootId: string;
}

/**
 * Takes a folder for this process alone.
 *
 * @throws Error `EBUSY` with a sentence when another process that lives has it
 */
export async function lockFolder(folder: string, bootId: string): Promise<void> {
  const file = join(folder, FILE);
  const owner: Owner = { pid: process.pid, startTicks: await startTicks(process.pid), bootId };
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, JSON.stringify(owner), { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    const other = parseOwner(await readFile(file, "utf8").catch(() => ""));
    if (attempt > 0 || (other && (await isAlive(other, bootId)))) {
      throw new FolderInUseError(folder, other?.pid);
    }
    await unlink(file).catch(() => undefined);
  }
}

/** Whether the folder has a lock, of whomever. */
export async function isLocked(folder: string): Promise<boolean> {
  return (await readFile(join(folder, FILE)).catch(() => undefined)) !== undefined;
}

export async function unlockFolder(folder: string): Promise<void> {
  await unlink(join(folder, FILE)).catch(() => undefined);
}

/** Another process has the folder. */
export class FolderInUseError extends Error {
  constructor(folder: string, pid: number | undefined) {
    super(`${folder} is used by another edge (process ${pid ?? "unknown"}); give each edge a spool folder of its own`);
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const value = JSON.parse(text) as Partial<Owner> | null;
    if (!Number.isInteger(value?.pid) || typeof value?.bootId !== "string") return undefined;
    return value as Owner;
  } catch {
    return undefined;
  }
}

async function isAlive({ pid, startTicks: ticks, bootId }: Owner, ownBootId: string): Promise<boolean> {
  if (bootId !== ownBootId) return false;
  const now = await startTicks(pid);
  if (now !== undefined || ticks !== undefined) return now === ticks;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}

/** Field 22 of proc_pid_stat(5), counted behind the name, which may hold anything. */
async function startTicks(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .at(19);
}
