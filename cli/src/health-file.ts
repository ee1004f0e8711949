import { rm, writeFile } from "node:fs/promises";
import { messageOf } from "@canfleet/sdk";

/** How often the file is written anew, ms: whoever looks for a file that is younger than 30 s has room for a slow disk. */
const PERIOD_MS = 5_000;

export interface HealthFileOptions {
  /** Told of the first failure to write, and of none after it: the service itself goes on. */
  warn: (text: string) => void;
  /** Default 5,000. */
  periodMs?: number;
}

/**
 * A file that is young while this process does its work, for those who cannot ask it over a network (`HEALTHCHECK` of the
 * edge's image, a watchdog). Holds the process id. A process that hangs or is stopped lets it grow old.
 */
export class HealthFile {
  readonly #path: string;
  readonly #warn: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;
  #hasWarned = false;

  /** Writes the file at once and then each `periodMs`. */
  constructor(path: string, { warn, periodMs = PERIOD_MS }: HealthFileOptions) {
    this.#path = path;
    this.#warn = warn;
    this.#timer = setInterval(() => this.#renew(), periodMs);
    this.#renew();
  }

  #renew(): void {
    // On a disk that hangs one write waits, not one more each period.
    this.#writing ??= writeFile(this.#path, `${process.pid}\n`)
      .catch((error: unknown) => {
        if (this.#hasWarned) return;
        this.#hasWarned = true;
        this.#warn(`health file: ${messageOf(error)}`);
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }

  /** Stops, and removes the file. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await rm(this.#path, { force: true }).catch(() => undefined);
  }
}
