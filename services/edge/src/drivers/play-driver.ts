import { setImmediate as nextTurn } from "node:timers/promises";
import { ALL_FLAGS, filterBatch, FLAG_ECHO, FLAG_OWN, FrameBatch, messageOf, type CanFilter } from "@canfleet/sdk";
import type { CanCapabilities, CanInterface, CanSink, SendOutcome } from "../can-interface.ts";
import { systemClock, type Clock } from "./clock.ts";
import { checkLog, LogSource, STDIN } from "./play/log-source.ts";
import { firstUnsendable, outcomeOf } from "./sendable.ts";
import { Pacer, type Pace } from "./play/pacer.ts";

export interface PlayOptions {
  /** How often the log is played, 1 or more. Default 1. The standard input can be played once. */
  loop?: number | "forever";
  /** Times the log's own timing, 0.01–100, or "max" for as fast as it can be read. Default 1. */
  speed?: number | "max";
  /** Frames in a second at equal distances, above 0 to 1000000, in place of the log's timing. */
  framesPerSecond?: number;
  /** Longer silences of the log are cut to this, ms of its own time, 0 or more. Default: none is cut. */
  maxGapMs?: number;
  /** Only lines of this interface. Default: all. */
  channel?: string;
  /** Frames carry the time and the own marks of the log, in place of the time at which they are played. Default false. */
  originalTime?: boolean;
  /** What the interface is called. Default `play`. */
  name?: string;
  /** Default: the machine's. */
  clock?: Clock;
}

/** Frames handed over at once. */
/** Two clocks that are read one after the other differ by less, µs. */
const MAX_CLOCK_NOISE_US = 10_000;
const BATCH_FRAMES = 256;
/** Echoes of sent frames that wait for the event loop. */
const MAX_ECHOES = 4096;
/** Bad lines that are named one by one. */
const MAX_NAMED_LINES = 10;

/**
 * A candump log as a bus. Its frames come at their times in the log, reckoned from the start; after the last play
 * the sink is told the end. Sent frames come back as they would on a bus on which nobody else listens.
 *
 * Lines that should be frames and are not are named by a warning each, and the rest is played.
 *
 * @param path a log of `candump -L` or `-l`, `.gz` too; `-` is the standard input
 * @throws RangeError when an option is out of its range; `open` throws `TEXT_NO_FILE` when the log cannot be read
 */
export function createPlayDriver(path: string, options: PlayOptions = {}): CanInterface {
  const { loop = 1 } = options;
  const plays = loop === "forever" ? Infinity : loop;
  if (plays !== Infinity && (!Number.isInteger(plays) || plays < 1)) {
    throw new RangeError(`loop must be 1 or more, or "forever", got ${loop}`);
  }
  if (path === STDIN && plays > 1) throw new RangeError("the standard input can be played only once");
  if (options.maxGapMs !== undefined && !(options.maxGapMs >= 0)) {
    throw new RangeError(`maxGapMs must be 0 or more, got ${options.maxGapMs}`);
  }
  return new PlayDriver(path, plays, paceOf(options), options);
}

function paceOf({ speed = 1, framesPerSecond }: PlayOptions): Pace {
  if (framesPerSecond !== undefined) {
    if (!(framesPerSecond > 0 && framesPerSecond <= 1e6)) {
      throw new RangeError(`framesPerSecond must be above 0 and at most 1000000, got ${framesPerSecond}`);
    }
    if (speed !== 1) throw new RangeError("speed and framesPerSecond exclude each other");
    return { framesPerSecond };
  }
  if (speed === "max") return "max";
  if (!(speed >= 0.01 && speed <= 100)) throw new RangeError(`speed must be 0.01 to 100 or "max", got ${speed}`);
  return { speed };
}

class PlayDriver implements CanInterface {
  readonly channel: string;
  readonly driver = "play";
  readonly capabilities: CanCapabilities;
  #wallOffsetUs = NaN;
  readonly #path: string;
  readonly #plays: number;
  readonly #pace: Pace;
  readonly #options: PlayOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #out = new FrameBatch(BATCH_FRAMES);
  #filters: readonly CanFilter[] = [];
  #echoes: FrameBatch[] = [];
  #waitingEchoes = 0;
  #source: LogSource | undefined;
  #sink: CanSink | undefined;
  #playing: Promise<void> = Promise.resolve();
  #badLines = 0;

  constructor(path: string, plays: number, pace: Pace, options: PlayOptions) {
    this.#path = path;
    this.#plays = plays;
    this.#pace = pace;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.channel = options.name ?? "play";
    this.capabilities = {
      fd: true,
      ownFrames: "marked",
      timestamps: options.originalTime ? "recorded" : "driver",
      losses: "counted",
      sendErrors: "errno",
      filters: "driver",
      canSend: true,
      unknownFlags: 0,
    };
  }

  async open(sink: CanSink): Promise<void> {
    await checkLog(this.#path);
    this.#sink = sink;
    this.#playing = this.#playAll(sink);
  }

  async #playAll(sink: CanSink): Promise<void> {
    // Nothing is handed over before `open` has resolved.
    await nextTurn();
    const { signal } = this.#closing;
    const pacer = new Pacer(this.#pace, (this.#options.maxGapMs ?? Infinity) * 1000);
    try {
      for (let play = 1; play <= this.#plays && !signal.aborted; play++) {
        const frames = await this.#playOnce(sink, pacer, play);
        if (frames === 0) break;
        pacer.rewind();
      }
    } catch (error) {
      if (!signal.aborted) sink.warning(`${this.#path}: reading ended early: ${messageOf(error)}`);
    }
    if (!signal.aborted) sink.end();
  }

  /** Gives the number of frames. */
  async #playOnce(sink: CanSink, pacer: Pacer, play: number): Promise<number> {
    const source = new LogSource({
      path: this.#path,
      channel: this.#options.channel,
      badLine: (line, reason) => {
        if (play === 1) this.#warnOfLine(sink, line, reason);
      },
    });
    this.#source = source;
    if (this.#closing.signal.aborted) source.close();
    let frames = 0;
    for await (const piece of source.batches()) {
      this.#tellLoss(sink, piece);
      await this.#playPiece(sink, pacer, piece);
      frames += piece.count;
      if (this.#closing.signal.aborted) break;
    }
    if (play === 1 && this.#badLines > MAX_NAMED_LINES && !this.#closing.signal.aborted) {
      sink.warning(`${this.#path}: ${this.#badLines - MAX_NAMED_LINES} more lines are not frames`);
    }
    return frames;
  }

  #tellLoss(sink: CanSink, piece: FrameBatch): void {
    for (const frames of Object.values(piece.lost ?? {})) sink.lost(frames);
  }

  async #playPiece(sink: CanSink, pacer: Pacer, piece: FrameBatch): Promise<void> {
    let nowUs = this.#clock.monotonicUs();
    for (let i = 0; i < piece.count; i++) {
      const dueUs = pacer.next(piece.timestampUs[i]!, nowUs);
      if (dueUs > nowUs) {
        this.#flush(sink);
        nowUs = await this.#waitUntil(dueUs);
      } else if (this.#out.count === BATCH_FRAMES) {
        this.#flush(sink);
        // Sends, timers and whoever takes the frames have their turn however fast the log is played.
        await nextTurn();
        nowUs = this.#clock.monotonicUs();
      }
      if (this.#closing.signal.aborted) return;
      this.#add(piece, i, dueUs);
    }
    this.#flush(sink);
  }

  /** Gives the time when it is over, the due time or later. */
  async #waitUntil(dueUs: number): Promise<number> {
    let nowUs = this.#clock.monotonicUs();
    while (nowUs < dueUs && !this.#closing.signal.aborted) {
      await this.#clock.wait(Math.ceil((dueUs - nowUs) / 1000), this.#closing.signal);
      nowUs = this.#clock.monotonicUs();
    }
    return nowUs;
  }

  /** @param dueUs the frame carries when it was due, which is now or just before */
  #add(piece: FrameBatch, row: number, dueUs: number): void {
    this.#out.append(piece, row, row + 1);
    if (this.#options.originalTime) return;
    const i = this.#out.count - 1;
    this.#out.timestampUs[i] = Math.round(dueUs + this.#wallOffset());
    this.#out.timestampNs[i] = 0;
    this.#out.flags[i]! &= ~(FLAG_OWN | FLAG_ECHO);
  }

  /**
   * From the monotonic clock to the machine's, µs. Kept until the machine's clock was set: two readings are never
   * taken at one moment, and frames that were due one after the other must not carry times the other way round.
   */
  #wallOffset(): number {
    const offsetUs = this.#clock.wallUs() - this.#clock.monotonicUs();
    if (!(Math.abs(offsetUs - this.#wallOffsetUs) <= MAX_CLOCK_NOISE_US)) this.#wallOffsetUs = offsetUs;
    return this.#wallOffsetUs;
  }

  #flush(sink: CanSink): void {
    if (this.#out.count === 0 || this.#closing.signal.aborted) return;
    const passed = filterBatch(this.#out, this.#filters);
    if (passed.count > 0) sink.frames(passed);
    // Whatever the sink did to the columns, the next frames start at the beginning.
    this.#out.clear();
    this.#out.dataOffset[0] = 0;
  }

  #warnOfLine(sink: CanSink, line: number, reason: string): void {
    this.#badLines++;
    if (this.#badLines <= MAX_NAMED_LINES) sink.warning(`${this.#path}, line ${line}: ${reason}`);
  }

  send(batch: FrameBatch, from = 0): SendOutcome {
    if (!this.#sink || this.#closing.signal.aborted) {
      return { accepted: 0, refusal: { kind: "down", errno: "ENETDOWN" } };
    }
    const sendable = firstUnsendable(batch, from);
    const accepted = Math.max(0, Math.min(sendable - from, MAX_ECHOES - this.#waitingEchoes));
    if (accepted > 0) {
      if (this.#echoes.length === 0)
        setImmediate(() => {
          this.#echo();
        });
      this.#echoes.push(batch.clone(from, from + accepted));
      this.#waitingEchoes += accepted;
    }
    return outcomeOf(batch, from, sendable, accepted);
  }

  #echo(): void {
    const echoes = this.#echoes;
    this.#echoes = [];
    this.#waitingEchoes = 0;
    for (const batch of echoes) {
      if (this.#closing.signal.aborted) return;
      batch.epoch = 0;
      batch.seq = -1;
      batch.lost = undefined;
      batch.timestampUs.fill(this.#clock.wallUs());
      batch.timestampNs.fill(0);
      for (let i = 0; i < batch.count; i++) batch.flags[i] = (batch.flags[i]! & ALL_FLAGS) | FLAG_OWN | FLAG_ECHO;
      const passed = filterBatch(batch, this.#filters);
      if (passed.count > 0) this.#sink?.frames(passed);
    }
  }

  setFilters(filters: readonly CanFilter[]): void {
    this.#filters = filters.slice();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#source?.close();
    await this.#playing;
  }
}
