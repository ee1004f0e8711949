import { redactUrls } from "@canfleet/sdk";
import type { Interruption } from "./interruption.ts";
import { jsonLogLine, type LogFields, type LogLevel } from "./service-log.ts";

/** Data on stdout, everything else on stderr. */
export interface Terminal {
  /** Writes to stdout as it is. */
  write(text: string): void;
  /**
   * One sentence on stderr, after the program's name; passwords in addresses are left out.
   *
   * @param level default "info"; `fields` are for programs: only JSON shows them
   */
  say(sentence: string, level?: LogLevel, fields?: LogFields): void;
  /** Lines on stderr: tables of what runs where, hints; passwords in addresses are left out. Not shown in JSON. */
  print(text: string): void;
  /** From now on stderr holds one JSON object a line (docs/operations.md, 5), each with these fields too. */
  logAsJson(fields: LogFields): void;
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
  let always: LogFields | undefined;
  return {
    write: (text) => {
      if (!interruption.isOutputGone) process.stdout.write(text);
    },
    say: (sentence, level = "info", fields = {}) => {
      const text = `canfleet: ${level === "warn" ? "warning: " : ""}${redactUrls(sentence)}\n`;
      process.stderr.write(always ? jsonLogLine(level, sentence, { ...fields, ...always }, Date.now()) : text);
    },
    print: (text) => {
      if (!always) process.stderr.write(redactUrls(text));
    },
    logAsJson: (fields) => {
      always = fields;
    },
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
