import { randomBytes } from "node:crypto";
import { link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CanfleetError, messageOf } from "@canfleet/sdk";

/** How long a lock stays the same before it counts as left behind by a process that is gone, ms. */
const LOCK_STALE_MS = 10_000;
/** How long somebody waits for a lock at most, ms. */
const LOCK_WAIT_MS = 30_000;
const LOCK_POLL_MS = 20;

/**
 * Reads a file that holds secrets; undefined when there is none.
 *
 * @throws CanfleetError `CONFIG_INVALID` when others on this machine can read it, or it is larger than `maxBytes`
 */
export async function readPrivateFile(path: string, maxBytes: number): Promise<string | undefined> {
  try {
    const { mode, size } = await stat(path);
    if ((mode & 0o077) !== 0) throw invalid(path, `others on this machine can read it; chmod 600 ${path}`);
    if (size > maxBytes) throw invalid(path, `larger than ${maxBytes} bytes`);
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof CanfleetError) throw error;
    throw invalid(path, messageOf(error));
  }
}

/**
 * Writes a file as a whole or not at all, readable by its owner alone; it is on the disk when this resolves.
 *
 * @throws CanfleetError `TEXT_NO_FILE`
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  try {
    await writeSynced(temporary, text);
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw new CanfleetError("TEXT_NO_FILE", `${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** So that the new name outlives a power cut as well. Some file systems cannot. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync().catch(() => undefined);
  } finally {
    await folder.close();
  }
}

/** Tells whether a file was replaced or changed since; empty when it is not there. */
export async function fileStamp(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, mode } = await stat(path);
    return `${ino} ${size} ${mtimeMs} ${mode}`;
  } catch {
    return "";
  }
}

/** Whoever changes a file, for as long as it takes. */
export interface FileLock {
  /** Asked before what was changed is written. @throws CanfleetError `TEXT_NO_FILE` when the lock was taken away */
  assertHeld(): Promise<void>;
}

/**
 * Changes a file while nobody else does: processes on this machine and in containers that share the folder take turns.
 * `work` must be short, and call `assertHeld` before it writes.
 *
 * @param staleMs how long a lock of somebody else stays the same before it is taken away. Default 10,000
 * @throws CanfleetError `TEXT_NO_FILE` when the lock cannot be made, or others hold it for half a minute
 */
export async function withFileLock<T>(
  path: string,
  work: (lock: FileLock) => Promise<T>,
  staleMs = LOCK_STALE_MS,
): Promise<T> {
  const file = `${path}.lock`;
  const id = randomBytes(12).toString("hex");
  await takeLock(path, id, staleMs);
  const isOurs = async (): Promise<boolean> => (await readLock(file)) === id;
  try {
    return await work({
      assertHeld: async () => {
        if (!(await isOurs())) throw new CanfleetError("TEXT_NO_FILE", `${path}: another process took ${file} away`);
      },
    });
  } finally {
    if (await isOurs()) await rm(file, { force: true });
  }
}

async function takeLock(path: string, id: string, staleMs: number): Promise<void> {
  const file = `${path}.lock`;
  const endMs = performance.now() + LOCK_WAIT_MS;
  // Seen by our own clock: neither a step of the wall clock nor another container's process ids matter.
  let seen = { id: "", sinceMs: performance.now() };
  while (!(await makeLock(path, file, id))) {
    const nowMs = performance.now();
    const other = (await readLock(file)) ?? seen.id;
    if (other !== seen.id) seen = { id: other, sinceMs: nowMs };
    else if (nowMs - seen.sinceMs > staleMs) await removeStale(file, other);
    if (nowMs > endMs) {
      throw new CanfleetError("TEXT_NO_FILE", `${path} is being changed by another process all the time (${file})`);
    }
    await sleep(LOCK_POLL_MS * (1 + Math.random()));
  }
}

/** @returns false when there is a lock */
async function makeLock(path: string, file: string, id: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.writeFile(id);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new CanfleetError("TEXT_NO_FILE", `${path} cannot be changed: ${messageOf(error)}`, { cause: error });
  }
}

/** Of several that find the same lock stale, one gets to move it away. */
async function removeStale(file: string, id: string): Promise<void> {
  const moved = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    await rename(file, moved);
  } catch {
    return;
  }
  // Somebody was faster, and this is his new lock: he finds out before he writes.
  if ((await readLock(moved)) !== id) await link(moved, file).catch(() => undefined);
  await rm(moved, { force: true });
}

async function readLock(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch {
    return undefined;
  }
}

function invalid(path: string, what: string): CanfleetError {
  return new CanfleetError("CONFIG_INVALID", `${path}: ${what}`);
}
