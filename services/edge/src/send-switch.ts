import { stat, statSync } from "node:fs";

const LOOK_MS = 1000;
/** What says that no file of the name is there. Anything else means that nobody can tell. */
const ABSENT: ReadonlySet<unknown> = new Set(["ENOENT", "ENOTDIR"]);

/** The file whose existence switches all sending off (docs/sending.md 4). Looked at in the constructor and each second. */
export class SendSwitch {
  readonly #file: string;
  readonly #onChange: (isOff: boolean, reason: string) => void;
  readonly #timer: NodeJS.Timeout;
  #isOff: boolean;
  #isLooking = false;
  #isClosed = false;

  /** @param onChange told when it changed, not of how it was at first; `reason` is for people */
  constructor(file: string, onChange: (isOff: boolean, reason: string) => void) {
    this.#file = file;
    this.#onChange = onChange;
    try {
      this.#isOff = statSync(file, { throwIfNoEntry: false }) !== undefined;
    } catch (error) {
      this.#isOff = !ABSENT.has((error as NodeJS.ErrnoException).code);
    }
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Whether nothing may be sent. A place that cannot be looked at counts as switched off. */
  get isOff(): boolean {
    return this.#isOff;
  }

  #look(): void {
    // A file system that hangs must not pile up threads that wait for it.
    if (this.#isLooking) return;
    this.#isLooking = true;
    stat(this.#file, (error) => {
      this.#isLooking = false;
      const isAbsent = error !== null && ABSENT.has(error.code);
      const isOff = !isAbsent;
      if (this.#isClosed || isOff === this.#isOff) return;
      this.#isOff = isOff;
      this.#onChange(isOff, error && isOff ? `${this.#file}: ${error.message}` : this.#file);
    });
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
  }
}
