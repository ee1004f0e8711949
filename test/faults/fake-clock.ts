import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIBRARIES = "/usr/lib";
const NAME = "faketime/libfaketimeMT.so.1";

/** Debian's libfaketime, for whatever processor this machine has. */
function libraryPath(): string | undefined {
  if (!existsSync(LIBRARIES)) return undefined;
  const folders = ["", ...readdirSync(LIBRARIES)].map((folder) => join(LIBRARIES, folder, NAME));
  return folders.find((path) => existsSync(path));
}

/** Why wall clocks cannot be set here; false when they can. For the `skip` of a test. */
export function fakeClockProblem(): string | false {
  return libraryPath() === undefined && "no libfaketime on this machine (Debian: faketime)";
}

/** The wall clock of processes, which can be set while they run; monotonic clocks are left alone. */
export class FakeClock {
  readonly #file: string;
  #offsetSeconds = 0;

  /** @param file is written, and read by each process once a second: it notices a step up to a second late */
  constructor(file: string, offsetSeconds = 0) {
    this.#file = file;
    this.set(offsetSeconds);
  }

  /** The environment of a process that has this clock. */
  get env(): { readonly [name: string]: string } {
    return {
      LD_PRELOAD: libraryPath()!,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  /**
   * Sets the clock.
   *
   * @param offsetSeconds from the machine's own
   * @returns by how much it was set, s
   */
  set(offsetSeconds: number): number {
    // A reader sees the old file or the new one, never half of it.
    const written = `${this.#file}.new`;
    writeFileSync(written, `${offsetSeconds < 0 ? "" : "+"}${offsetSeconds}`);
    renameSync(written, this.#file);
    const step = offsetSeconds - this.#offsetSeconds;
    this.#offsetSeconds = offsetSeconds;
    return step;
  }
}
