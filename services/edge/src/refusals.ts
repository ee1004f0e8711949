import type { Denial } from "./send-gate.ts";
import type { SendCode } from "@canfleet/sdk";
import type { EdgeLog } from "./log.ts";

/** Why a frame or request was not sent (docs/sending.md 1). */
export type RefusalReason = Denial | Exclude<SendCode, "sent" | "denied"> | "retained" | "unreadable";

/** What the log calls the reasons. */
const IN_WORDS: { [reason in RefusalReason]: string } = {
  off: "sending is switched off",
  "error-frame": "an error frame",
  list: "no rule names it",
  rate: "over the rate of its rule",
  cap: "over the cap of the bus",
  expired: "its time to live was over",
  "no-buffer": "no room in the queue",
  "bus-off": "the bus is off or down",
  unsupported: "this bus cannot carry it",
  failed: "the interface refused it",
  duplicate: "its nonce was seen before",
  retained: "a retained request",
  unreadable: "not as the format says",
};

/** After the first one, refusals of somebody for a reason are told this often, ms. */
const TELL_MS = 10_000;
const MAX_NAMES = 64;
const MAX_NAME_LENGTH = 64;
const OTHERS = "others";

interface Entry {
  by: string;
  reason: RefusalReason;
  /** Frames since the last line. */
  untold: number;
}

/** Counts what was not sent on one bus, and tells it: who, why, how many, never a line for each. */
export class Refusals {
  /** Frames (or requests that could not be read) by reason, since the start. */
  readonly counts: { [reason in RefusalReason]?: number } = {};
  readonly #bus: string;
  readonly #log: EdgeLog;
  readonly #entries = new Map<string, Entry>();
  #last: Entry | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(bus: string, log: EdgeLog) {
    this.#bus = bus;
    this.#log = log;
  }

  /**
   * @param by who asked, as it came: it is made fit for a log line here
   * @param frames how many, 1 or more
   * @param detail more about the first of them, told with it
   */
  add(by: string, reason: RefusalReason, frames: number, detail?: string): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + frames;
    const entry = this.#last?.by === by && this.#last.reason === reason ? this.#last : this.#entryOf(by, reason);
    this.#last = entry;
    if (entry.untold >= 0) {
      entry.untold += frames;
      return;
    }
    entry.untold = 0;
    const more = detail === undefined ? "" : ` (${printable(detail)})`;
    this.#log(
      `${this.#bus}: refused ${amount(frames, reason)} of ${printable(entry.by)}: ${IN_WORDS[reason]}${more}`,
      "warn",
    );
    this.#timer ??= setInterval(() => this.#tell(), TELL_MS).unref();
  }

  #entryOf(by: string, reason: RefusalReason): Entry {
    const found = this.#entries.get(`${reason} ${by}`);
    if (found) return found;
    if (this.#entries.size >= MAX_NAMES && by !== OTHERS) return this.#entryOf(OTHERS, reason);
    const entry: Entry = { by, reason, untold: -1 };
    this.#entries.set(`${reason} ${by}`, entry);
    return entry;
  }

  /** Tells what came since the last time; who was quiet is forgotten, and told at once when he comes again. */
  #tell(): void {
    for (const [key, entry] of this.#entries) {
      if (entry.untold === 0) this.#entries.delete(key);
      else this.#tellEntry(entry);
      entry.untold = 0;
    }
    this.#last = undefined;
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tellEntry({ by, reason, untold }: Entry): void {
    this.#log(`${this.#bus}: refused ${untold} more of ${printable(by)}: ${IN_WORDS[reason]}`, "warn");
  }

  /** Tells what is left to tell. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const entry of this.#entries.values()) if (entry.untold > 0) this.#tellEntry(entry);
    this.#entries.clear();
    this.#last = undefined;
  }
}

function amount(frames: number, reason: RefusalReason): string {
  const what = reason === "unreadable" ? "send request" : "frame";
  return frames === 1 ? `a ${what}` : `${frames} ${what}s`;
}

/** A peer's text as part of one log line: control, format and unpaired characters escaped, 64 characters at most. */
export function printable(text: string): string {
  const cut = text.length > MAX_NAME_LENGTH ? `${text.slice(0, MAX_NAME_LENGTH)}…` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
