import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { until } from "./until.ts";

export interface ProgramOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** All programs of this test file that may still run. */
const running = new Set<Program>();

/** A real process, its output line by line, and its end. */
export class Program {
  /** Complete lines of stdout so far. */
  readonly lines: string[] = [];
  /** All of stderr so far. */
  stderr = "";
  /** Exit code, or the signal that ended it; undefined while it runs. */
  ended: number | NodeJS.Signals | undefined;
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #exit: Promise<number | NodeJS.Signals>;
  #rest = "";

  private constructor(command: string, args: readonly string[], options: ProgramOptions) {
    this.#name = [command, ...args].join(" ").slice(0, 120);
    this.#child = spawn(command, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => this.#addOutput(text));
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    // A program that ends while it is written to is seen by its exit.
    this.#child.stdin.on("error", () => undefined);
    this.#exit = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => {
        this.ended = code ?? signal ?? 0;
        running.delete(this);
        resolve(this.ended);
      });
    });
    this.#exit.catch((error: unknown) => (this.stderr += String(error)));
    running.add(this);
  }

  static start(command: string, args: readonly string[] = [], options: ProgramOptions = {}): Program {
    return new Program(command, args, options);
  }

  /** Runs a program to its end. */
  static async run(command: string, args: readonly string[] = [], options: ProgramOptions = {}): Promise<Program> {
    const program = new Program(command, args, options);
    program.#child.stdin.end();
    await program.exit();
    return program;
  }

  /** Ends all that this test file started and waits until they are gone. */
  static async killAll(): Promise<void> {
    const rest = [...running];
    for (const program of rest) program.signal("SIGKILL");
    for (const program of rest) program.signal("SIGCONT");
    await Promise.all(rest.map((program) => program.exit().catch(() => undefined)));
  }

  #addOutput(text: string): void {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.lines.push(part);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Input of the program. */
  get stdin(): Writable {
    return this.#child.stdin;
  }

  /** Makes this program's output another one's input, as `|` does. */
  pipeTo(next: Program): this {
    this.#child.stdout.pipe(next.stdin);
    return this;
  }

  /** Exit code, or the signal that ended it. */
  exit(): Promise<number | NodeJS.Signals> {
    return this.#exit;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks the program to end and waits until it did. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    this.signal(signal);
    return this.#exit;
  }

  /** Waits for a line of stdout that matches, from line `from` on, and returns it. */
  line(pattern: RegExp, from = 0): Promise<string> {
    return this.until(`a line ${pattern.source}`, () => {
      const found = this.lines.slice(from).find((line) => pattern.test(line));
      if (found === undefined && this.ended !== undefined)
        throw new Error(this.#account(`ended before ${pattern.source}`));
      return found;
    });
  }

  /** Waits for text on stderr. */
  said(pattern: RegExp, limitMs?: number): Promise<true> {
    return this.until(`stderr with ${pattern.source}`, () => pattern.test(this.stderr), limitMs);
  }

  /** As the function of that name; a failure shows what the program wrote last. */
  until<T>(what: string, condition: () => T | undefined | false, limitMs?: number): Promise<T> {
    return until(what, condition, limitMs, () => this.#account(`${this.lines.length} lines`));
  }

  #account(event: string): string {
    const last = this.lines.slice(-5).join("\n");
    return `${this.#name}: ${event}, exit ${String(this.ended)}\n${last}\n${this.stderr.slice(-2000)}`;
  }
}
