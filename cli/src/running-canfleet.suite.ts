import assert from "node:assert/strict";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

export const PROGRAM = fileURLToPath(new URL("../bin/canfleet.js", import.meta.url));

/** Nothing in these tests takes long; a machine that is busy with others may. */
const LIMIT_MS = 60_000;

export interface Ended {
  /** 128 + n when signal n ended it, as a shell says. */
  code: number;
  stdout: string;
  stderr: string;
}

/** A folder of its own for settings, simulated buses and files, so that neither user nor other tests play along. */
export class Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #running = new Set<Running>();

  private constructor(folder: string) {
    this.folder = folder;
    this.env = {
      PATH: process.env.PATH,
      HOME: folder,
      XDG_CONFIG_HOME: join(folder, "config"),
      TMPDIR: join(folder, "tmp"),
    };
  }

  static async make(): Promise<Place> {
    // Short: the path of a socket has 107 bytes at most.
    const place = new Place(await mkdtemp(join(tmpdir(), "cf-")));
    await mkdir(join(place.folder, "tmp"));
    return place;
  }

  /** @param limitMs after which it is ended, so that its test fails instead of waiting for ever */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}, limitMs = LIMIT_MS): Running {
    return this.startProcess(process.execPath, [PROGRAM, ...args], env, limitMs);
  }

  startProcess(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, limitMs = LIMIT_MS): Running {
    const running = new Running(command, args, { ...this.env, ...env }, this.folder, limitMs);
    this.#running.add(running);
    return running;
  }

  /** Runs to the end. */
  async run(args: readonly string[], env?: NodeJS.ProcessEnv, input = ""): Promise<Ended> {
    const running = this.start(args, env);
    running.end(input);
    return running.ended();
  }

  async remove(): Promise<void> {
    for (const running of this.#running) running.kill("SIGKILL");
    await Promise.all([...this.#running].map((running) => running.ended()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A canfleet that runs. */
export class Running {
  stdout = "";
  stderr = "";
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<Ended>;
  readonly #waiting = new Set<() => void>();

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd: string, limitMs: number) {
    this.#child = spawn(command, args, { env, cwd, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => this.#heard("stdout", text));
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => this.#heard("stderr", text));
    // A program that does not read its input may be gone before it is written.
    this.#child.stdin.on("error", () => undefined);
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), limitMs);
    this.#ended = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => {
        clearTimeout(limit);
        resolve({ code: code ?? (signal === "SIGKILL" ? 137 : -1), stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  #heard(stream: "stdout" | "stderr", text: string): void {
    this[stream] += text;
    for (const look of this.#waiting) look();
  }

  /** Writes to stdin and closes it. */
  end(input: string): void {
    this.#child.stdin.end(input);
  }

  /** Writes to stdin and leaves it open. */
  write(input: string): void {
    this.#child.stdin.write(input);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  ended(): Promise<Ended> {
    return this.#ended;
  }

  /** Resolves once the stream says it; fails when the program ends before, or never says it. */
  async says(pattern: RegExp, stream: "stdout" | "stderr" = "stderr"): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this[stream]);
        if (!match) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(match);
      };
      const fail = (): void => {
        reject(new assert.AssertionError({ message: `never said ${String(pattern)}\n${this.stdout}\n${this.stderr}` }));
      };
      const timer = setTimeout(fail, LIMIT_MS);
      void this.#ended.then(() => {
        look();
        clearTimeout(timer);
        fail();
      });
      this.#waiting.add(look);
      look();
    });
  }
}
