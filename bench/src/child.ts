import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export interface ChildOptions {
  env?: Record<string, string>;
  /** Lines on its stdout that are no JSON are dropped; stderr is shown only when it fails. */
  cwd?: string;
}

const STOP_MS = 3000;
/** No answer takes longer, the longest feed included. */
const ANSWER_LIMIT_MS = 120_000;

/** A program of the path: it may speak lines of JSON on stdout, and take commands, a line each, on stdin. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #lines: unknown[] = [];
  readonly #waiting: ((line: unknown) => void)[] = [];
  readonly #failures: ((error: Error) => void)[] = [];
  #stderr = "";
  #isStopping = false;

  constructor(name: string, command: readonly string[], options: ChildOptions = {}) {
    const [file = "", ...args] = command;
    this.name = name;
    this.#process = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    createInterface({ input: this.#process.stdout! }).on("line", (line) => this.#onLine(line));
    this.#process.stdin!.on("error", () => undefined);
    this.#process.once("error", (error) => this.#fail(error));
    this.#process.once("exit", (code, signal) => this.#fail(new Error(this.#obituary(code, signal))));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  #onLine(line: string): void {
    if (!line.startsWith("{")) return;
    const value: unknown = JSON.parse(line);
    const waiting = this.#waiting.shift();
    this.#failures.shift();
    if (waiting) waiting(value);
    else this.#lines.push(value);
  }

  #obituary(code: number | null, signal: string | null): string {
    return `${this.name} ended (${signal ?? `code ${code}`}): ${this.#stderr.trim()}`;
  }

  #fail(error: Error): void {
    this.#waiting.length = 0;
    for (const fail of this.#failures.splice(0)) fail(error);
  }

  /**
   * The next line of JSON.
   *
   * @throws Error when the program ends first
   */
  line<T>(): Promise<T> {
    if (this.#lines.length > 0) return Promise.resolve(this.#lines.shift() as T);
    if (this.#process.exitCode !== null) return Promise.reject(new Error(this.#obituary(this.#process.exitCode, null)));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#fail(new Error(`${this.name} does not answer`)), ANSWER_LIMIT_MS);
      this.#waiting.push((line) => {
        clearTimeout(late);
        resolve(line as T);
      });
      this.#failures.push((error) => {
        clearTimeout(late);
        reject(error);
      });
    });
  }

  /** Gives a command and waits for the answer. */
  ask<T>(command: string): Promise<T> {
    this.#process.stdin!.write(`${command}\n`);
    return this.line<T>();
  }

  /** Gives these bytes as its whole standard input. */
  feed(bytes: Uint8Array): void {
    this.#process.stdin!.end(bytes);
  }

  /** Ends it, by force after three seconds. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (this.#isStopping || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    this.#isStopping = true;
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await gone;
    clearTimeout(force);
  }
}
