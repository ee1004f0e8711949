import { redactUrls } from "@canfleet/sdk";
import type { Interruption } from "./interruption.ts";

/** Data on stdout, everything else on stderr. */
export interface Terminal {
  /** Writes to stdout as it is. */
  write(text: string): void;
  /** One sentence on stderr, after the program's name; passwords in addresses are left out. */
  say(sentence: string): void;
  /** Lines on stderr: tables of what runs where, hints; passwords in addresses are left out. */
  print(text: string): void;
  /** Whether stdout is a terminal, its width in columns if so. */
  readonly columns: number | undefined;
  /** Whether colour is wanted on stdout: a terminal, and no NO_COLOR. */
  readonly colour: boolean;
}

/** The process's own streams. A reader of stdout that goes away ends the command without a complaint. */
export function processTerminal(interruption: Interruption): Terminal {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    const failed = error.code !== "EPIPE";
    if (failed && interruption.reason !== "output-failed")
      process.stderr.write(`canfleet: cannot write to stdout: ${error.message}\n`);
    interruption.stop(failed ? "output-failed" : "output-closed");
  });
  // Nobody can be told that nobody can be told.
  process.stderr.on("error", () => undefined);
  const isTerminal = process.stdout.isTTY;
  return {
    write: (text) => {
      if (!interruption.isOutputGone) process.stdout.write(text);
    },
    say: (sentence) => process.stderr.write(`canfleet: ${redactUrls(sentence)}\n`),
    print: (text) => process.stderr.write(redactUrls(text)),
    columns: isTerminal ? process.stdout.columns : undefined,
    colour: isTerminal && (process.env.NO_COLOR ?? "") === "",
  };
}

/** Resolves when everything that was written to stdout has left the process. */
export function flushStdout(): Promise<void> {
  return new Promise((resolve) => {
    if (!process.stdout.writable) resolve();
    else process.stdout.write("", () => resolve());
  });
}
