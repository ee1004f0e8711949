import { exitCodeOfSignal, exitCodeOfStop, type StopReason } from "./exit-codes.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Thrown where a command cannot go on because it was asked to end. */
export class Interrupted extends Error {
  override name = "Interrupted";
}

/** Longest time from a signal to the end of the process, ms, whatever a command still wants to write. */
const GRACE_MS = 1_900;

/** npm hands Ctrl-C on to a program that has it from the terminal already: what comes this soon is the same one, ms. */
const SAME_SIGNAL_MS = 300;

/**
 * Turns signals and a closed output into one `AbortSignal`.
 *
 * The first signal asks the command to end; a second one ends the process at once.
 */
export class Interruption {
  readonly #controller = new AbortController();
  #reason: StopReason | undefined;
  #signalledMs = -Infinity;

  /** Aborted once the command should end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What asked for the end; undefined while nothing did. */
  get reason(): StopReason | undefined {
    return this.#reason;
  }

  /** Whether nothing more can be written to stdout. */
  get isOutputGone(): boolean {
    return this.#reason === "output-closed" || this.#reason === "output-failed";
  }

  /** Listens for signals until the process ends. */
  listen(): void {
    for (const signal of SIGNALS) {
      process.on(signal, () => this.#onSignal(signal));
    }
  }

  #onSignal(signal: NodeJS.Signals): void {
    const isSame = signal === this.#reason && performance.now() - this.#signalledMs < SAME_SIGNAL_MS;
    if (isSame) return;
    if (this.#reason !== undefined && !this.isOutputGone) process.exit(exitCodeOfSignal(signal));
    this.#signalledMs = performance.now();
    this.stop(signal);
  }

  /** Asks the command to end. Later reasons do not replace the first. */
  stop(reason: StopReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller.abort();
    setTimeout(() => process.exit(exitCodeOfStop(reason)), GRACE_MS).unref();
  }
}
