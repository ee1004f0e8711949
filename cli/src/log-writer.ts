import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { constants, createGzip, type Gzip } from "node:zlib";
import { fileError } from "./file-error.ts";

/** How much of a compressed log a power cut can take, ms. */
const GZIP_FLUSH_MS = 1_000;

/** What may wait for a slow disk, bytes: a minute of four busy buses. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** A log file that is being written. */
export class LogWriter {
  readonly path: string;
  readonly #gzip: Gzip | undefined;
  readonly #file: WriteStream;
  readonly #flushTimer: NodeJS.Timeout | undefined;
  readonly #done: Promise<void>;
  #failure: Error | undefined;

  private constructor(path: string, file: WriteStream, onFailure: () => void) {
    this.path = path;
    this.#file = file;
    if (path.endsWith(".gz")) {
      const gzip = createGzip();
      gzip.pipe(this.#file);
      this.#gzip = gzip;
      this.#flushTimer = setInterval(() => gzip.flush(constants.Z_SYNC_FLUSH), GZIP_FLUSH_MS);
    }
    this.#done = finished(this.#file).catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      clearInterval(this.#flushTimer);
      onFailure();
    });
  }

  /**
   * Makes a new file, or opens a pipe or device that is there.
   *
   * @param path `.gz` compresses
   * @param onFailure told once when the file cannot be written any further
   * @throws CanfleetError `TEXT_NO_FILE` when it cannot be made, or is there already
   */
  static async create(path: string, onFailure: () => void): Promise<LogWriter> {
    // A recording is worth more than the convenience of using its name again.
    const file = createWriteStream(path, { flags: (await isSpecial(path)) ? "w" : "wx" });
    try {
      await once(file, "open");
    } catch (error) {
      throw fileError(path, error);
    }
    return new LogWriter(path, file, onFailure);
  }

  /** Whether so much waits to be written that more would only fill the memory. */
  get isBehind(): boolean {
    const unpacked = this.#gzip ? this.#gzip.writableLength + this.#gzip.readableLength : 0;
    return unpacked + this.#file.writableLength > MAX_WAITING_BYTES;
  }

  write(text: string): void {
    if (!this.#failure) (this.#gzip ?? this.#file).write(text);
  }

  /**
   * Resolves when everything is in the file.
   *
   * @throws CanfleetError `TEXT_NO_FILE` when it is not
   */
  async close(): Promise<void> {
    clearInterval(this.#flushTimer);
    if (!this.#failure) (this.#gzip ?? this.#file).end();
    await this.#done;
    if (this.#failure) throw fileError(this.path, this.#failure);
  }
}

/** Whether something is there that writing does not replace. */
async function isSpecial(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    return !found.isFile() && !found.isDirectory();
  } catch {
    // What is wrong with the path is said when it is opened.
    return false;
  }
}

/** Replaces %Y %m %d %H %M %S by the time, UTC; %% is a %. */
export function fileNameAt(pattern: string, time: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const parts: Readonly<Record<string, string>> = {
    Y: String(time.getUTCFullYear()),
    m: two(time.getUTCMonth() + 1),
    d: two(time.getUTCDate()),
    H: two(time.getUTCHours()),
    M: two(time.getUTCMinutes()),
    S: two(time.getUTCSeconds()),
    "%": "%",
  };
  return pattern.replace(/%([YmdHMS%])/g, (_, letter: string) => parts[letter] ?? "");
}
