import { setImmediate as nextTurn } from "node:timers/promises";
import { clientHub } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { EXIT_DONE, EXIT_FAILED, exitCodeOfStop } from "../exit-codes.ts";
import { readLog, type LogEntry } from "../log-reader.ts";
import { openBuses, shutDownAll } from "../open-bus.ts";
import { PlayClock } from "../play-clock.ts";
import { parseAssignment, PlayTargets } from "../play-targets.ts";
import { assertTakesFrames } from "../sendable.ts";
import { sleep } from "../sleep.ts";
import type { PLAY } from "../table/frames.ts";
import { UsageError } from "../usage-error.ts";
import { frameText } from "./send.ts";

type PlayOptions = Arguments<typeof PLAY>["options"];

/** Malformed lines that are named one by one. */
const MAX_NAMED_LINES = 10;

/** `canfleet play` */
export async function runPlay({ options, positionals }: Arguments<typeof PLAY>, context: Context): Promise<number> {
  const { terminal, interruption } = context;
  const [file = "", ...assignments] = positionals;
  const loops = parseLoops(options.loops, file);
  const parsed = assignments.map(parseAssignment);
  const hub = (): ReturnType<typeof clientHub> => clientHub(options, context);
  const targets = new PlayTargets(async (spec) => {
    if (spec.place.kind === "hub") await assertTakesFrames(spec, await hub());
    return (await openBuses([spec], { flags: options, connected: true }, context))[0]!;
  });
  const player = new Player(targets, options, context);
  try {
    for (const assignment of parsed) await targets.assign(assignment);
    for (let loop = 0; loop < loops && !player.isDone; loop++) await player.playOnce(file);
    await targets.drain();
  } finally {
    await shutDownAll(targets.opened);
    player.report(terminal);
  }
  if (interruption.signal.aborted) return exitCodeOfStop(interruption.reason);
  targets.throwIfRefused();
  return player.badLines > 0 ? EXIT_FAILED : EXIT_DONE;
}

function parseLoops(text: string, file: string): number {
  const loops = text === "i" ? Infinity : /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (loops < 1) throw new UsageError(`-l ${text}: expected a number of loops, or i for ever`, "play");
  if (loops > 1 && file === "-") throw new UsageError("stdin can be played once only: -l needs a file", "play");
  return loops;
}

/** Sends the lines of a log in time. */
class Player {
  badLines = 0;
  #played = 0;
  readonly #targets: PlayTargets;
  readonly #options: PlayOptions;
  readonly #context: Context;

  constructor(targets: PlayTargets, options: PlayOptions, context: Context) {
    this.#targets = targets;
    this.#options = options;
    this.#context = context;
  }

  /** Whether nothing more is to be played. */
  get isDone(): boolean {
    return this.#context.interruption.signal.aborted || this.#played >= (this.#options.count ?? Infinity);
  }

  async playOnce(file: string): Promise<void> {
    const { skip, speed } = this.#options;
    const clock = new PlayClock({ speed, skipUs: skip === undefined ? undefined : skip * 1e6 });
    const before = this.#played;
    const onBadLine = (line: number, reason: string): void => this.#onBadLine(file, line, reason);
    for await (const entry of readLog(file, onBadLine, this.#context.interruption.signal)) {
      await this.#waitFor(entry, clock);
      if (this.isDone) return;
      if (!(await this.#targets.send(entry.channel, entry.message))) continue;
      this.#played++;
      if (this.#options.verbose) this.#context.terminal.write(`${entry.channel}  ${frameText(entry.message)}\n`);
    }
    // A log without frames would be looped over without a pause.
    if (this.#played === before) await sleep(100, this.#context.interruption.signal);
  }

  async #waitFor({ message }: LogEntry, clock: PlayClock): Promise<void> {
    const { signal } = this.#context.interruption;
    if (this.#options["ignore-time"]) {
      if (this.#options.gap > 0) await sleep(this.#options.gap, signal);
      else if (this.#played % 16 === 0) await nextTurn();
      return;
    }
    const waitMs = clock.due(message.timestampUs, performance.now()) - performance.now();
    // Timers count whole milliseconds: what is due within one is due.
    if (waitMs >= 1) await sleep(waitMs, signal);
  }

  #onBadLine(file: string, line: number, reason: string): void {
    this.badLines++;
    if (this.badLines <= MAX_NAMED_LINES) this.#context.terminal.say(`${file}:${line}: ${reason}`);
  }

  report(terminal: Context["terminal"]): void {
    const say = (sentence: string): void => terminal.say(sentence);
    if (this.badLines > MAX_NAMED_LINES) say(`${this.badLines} malformed lines in all`);
    for (const [channel, lines] of this.#targets.unwanted) {
      say(`${lines} lines of ${channel} were not played: no TO=${channel} was given`);
    }
    if (this.#targets.refused > 1) say(`${this.#targets.refused} of ${this.#played} frames were not sent`);
  }
}
