import type { Interruption } from "./interruption.ts";
import type { Terminal } from "./terminal.ts";

/** What a command has of the process that it runs in. */
export interface Context {
  readonly terminal: Terminal;
  readonly interruption: Interruption;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** A command's work; resolves with its exit code when the work is done or the interruption asked for the end. */
export type Run<A> = (args: A, context: Context) => Promise<number>;
