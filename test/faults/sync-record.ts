import { readlinkSync, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { basename } from "node:path";

/** One fdatasync that succeeded: the file's name and how long it was when it began. */
export type SyncedFile = [name: string, bytes: number];

/**
 * Writes down from now on what this process has brought safely to disk, a JSON `SyncedFile` a line: what a power cut would
 * leave. Linux only.
 */
export async function recordSyncs(file: string): Promise<void> {
  const record = await open(file, "w");
  const handles = Object.getPrototypeOf(record) as FileHandle;
  const datasync = Reflect.get<FileHandle, "datasync">(handles, "datasync");
  handles.datasync = async function (this: FileHandle): Promise<void> {
    const name = basename(readlinkSync(`/proc/self/fd/${this.fd}`));
    const { size } = await this.stat();
    await datasync.call(this);
    const line: SyncedFile = [name, size];
    writeSync(record.fd, `${JSON.stringify(line)}\n`);
  };
}
