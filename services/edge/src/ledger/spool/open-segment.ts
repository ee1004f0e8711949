import { open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { encodeHeader, HEADER_BYTES, type RecordHead, type SegmentHeader } from "./segment-format.ts";
import { Segment } from "./segment.ts";

/** A batch's head and where its record begins in the bytes that are written. */
export interface Placed {
  head: RecordHead;
  at: number;
}

/** A segment that is being written. */
export class OpenSegment {
  readonly segment: Segment;
  /** Nothing may follow: a sync failed. */
  isBad = false;
  readonly #handle: FileHandle;
  readonly #onSyncError: (error: unknown) => void;
  #isDirty = true;
  #syncing: Promise<void> | undefined;

  private constructor(segment: Segment, handle: FileHandle, onSyncError: (error: unknown) => void) {
    this.segment = segment;
    this.#handle = handle;
    this.#onSyncError = onSyncError;
  }

  /** @throws Error of the system; nothing is left in the folder then */
  static async create(
    folder: string,
    header: SegmentHeader,
    onSyncError: (error: unknown) => void,
  ): Promise<OpenSegment> {
    const segment = new Segment(header);
    const path = join(folder, segment.file);
    const handle = await open(path, "wx", 0o600);
    try {
      await writeAll(handle, encodeHeader(header), 0);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await unlink(path).catch(() => undefined);
      throw error;
    }
    segment.size = HEADER_BYTES;
    return new OpenSegment(segment, handle, onSyncError);
  }

  /**
   * Writes records behind all others; they count only when all of them were written.
   *
   * @throws Error of the system
   */
  async write(bytes: Uint8Array, batches: readonly Placed[]): Promise<void> {
    const { segment } = this;
    try {
      await writeAll(this.#handle, bytes, segment.size);
    } catch (error) {
      // Half a record would look like damage to the next life.
      await this.#handle.truncate(segment.size).catch(() => undefined);
      throw error;
    }
    for (const { head, at } of batches) segment.enter(head, segment.size + at);
    segment.size += bytes.length;
    this.#isDirty = true;
  }

  /** Begins an fdatasync of what was written since the last one; nobody waits for it. */
  sync(): void {
    if (!this.#isDirty || this.#syncing) return;
    this.#isDirty = false;
    this.#syncing = this.#handle
      .datasync()
      .catch((error: unknown) => {
        this.isBad = true;
        this.#onSyncError(error);
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  /** Syncs and closes. Never fails. */
  async finish(): Promise<void> {
    await this.#syncing;
    this.sync();
    await this.#syncing;
    await this.#handle.close().catch(() => undefined);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
