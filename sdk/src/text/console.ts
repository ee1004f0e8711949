/**
 * Frames as candump prints them on a terminal (can-utils 2020.11, byte for byte):
 *
 *     (1700000000.654321)  can0  RX B -  1F334455   [8]  11 22 33 44 55 66 77 88   '."3DUfw.'
 *     (1700000000.654322)  can0  TX - -       123  [12]  11 22 33 44 55 66 77 88 99 AA BB CC
 */
import { MAX_CLASSIC_LENGTH } from "../can/dlc.ts";
import { FLAG_BRS, FLAG_ESI, FLAG_OWN, type FrameBatch } from "../can/frame-batch.ts";
import { isErrorWord, isExtendedWord, isRemoteWord } from "../can/id.ts";
import { frameIdText, HEX_BYTES } from "./hex.ts";
import { microsOf, padded, secondsText, wholeSeconds } from "./time-text.ts";

/**
 * Time in front of a line, by candump's letters: "a" absolute, "d" since the line before, "z" since the first line,
 * "A" absolute as date and time of day in local time.
 */
export type ConsoleTime = "a" | "d" | "z" | "A";

export interface ConsoleOptions {
  /** `-t`. Default: no time. */
  time?: ConsoleTime | undefined;
  /** `-x`: RX or TX, B for bit rate switch, E for error state indicator. Default false. */
  extraInfo?: boolean;
  /** `-a`: the payload as ASCII too, up to 8 bytes. Default false. */
  ascii?: boolean;
  /** Interface names are set right-justified in this many characters; longer ones widen it. Default 0. */
  channelWidth?: number;
}

/** Columns that 8 bytes take as ` 11 22 …`, and what stands behind them. */
const BYTE_COLUMNS = 3;
const ERROR_MARK = "ERRORFRAME".padStart(13);
const ASCII_GAP = 4;

/** Lays out lines as one candump would: what it saw before decides widths and relative times. */
export class ConsoleFormatter {
  readonly #time: ConsoleTime | undefined;
  readonly #extraInfo: boolean;
  readonly #ascii: boolean;
  #channelWidth: number;
  /** Set by the first extended frame: from then on 11-bit ids are indented to stand below 29-bit ones. */
  #indentStandard = false;
  #referenceUs: number | undefined;

  constructor(options: ConsoleOptions = {}) {
    this.#time = options.time;
    this.#extraInfo = options.extraInfo ?? false;
    this.#ascii = options.ascii ?? false;
    this.#channelWidth = options.channelWidth ?? 0;
  }

  /** Frame `i` of the batch as a line without its end. */
  format(batch: FrameBatch, i: number, channel: string): string {
    const idWord = batch.idWord[i]!;
    if (isExtendedWord(idWord)) this.#indentStandard = true;
    this.#channelWidth = Math.max(this.#channelWidth, channel.length);
    const time = this.#timeText(batch.timestampUs[i]!);
    const extra = this.#extraInfo ? extraInfoText(batch.flags[i]!) : "";
    const id = frameIdText(idWord).padStart(this.#indentStandard ? 8 : 3);
    return ` ${time} ${channel.padStart(this.#channelWidth)}${extra}  ${id}${this.#contents(batch, i)}`;
  }

  #timeText(timestampUs: number): string {
    switch (this.#time) {
      case undefined:
        return "";
      case "a":
        return `(${secondsText(timestampUs, 10)}) `;
      case "A":
        return `(${localTimeText(timestampUs)}) `;
      case "d":
      case "z": {
        const elapsedUs = Math.max(0, timestampUs - (this.#referenceUs ?? timestampUs));
        if (this.#time === "d" || this.#referenceUs === undefined) this.#referenceUs = timestampUs;
        return `(${secondsText(elapsedUs, 3)}) `;
      }
    }
  }

  #contents(batch: FrameBatch, i: number): string {
    const length = batch.length[i]!;
    if (batch.isFd(i)) return `  [${padded(length, 2)}] ${this.#payloadText(batch, i)}`;
    const head = `   [${length}] `;
    if (isRemoteWord(batch.idWord[i]!)) return `${head} remote request`;
    return head + this.#payloadText(batch, i);
  }

  #payloadText(batch: FrameBatch, i: number): string {
    const payload = batch.payload(i);
    let hex = "";
    for (const byte of payload) hex += ` ${HEX_BYTES[byte]!}`;
    // candump leaves out what follows the bytes where there are more than 8 of them.
    if (payload.length > MAX_CLASSIC_LENGTH) return hex;
    const columns = BYTE_COLUMNS * MAX_CLASSIC_LENGTH;
    if (isErrorWord(batch.idWord[i]!)) return hex.padEnd(columns) + ERROR_MARK;
    if (!this.#ascii) return hex;
    return `${hex.padEnd(columns + ASCII_GAP - 1)}'${asciiText(payload)}'`;
  }
}

function extraInfoText(flags: number): string {
  const direction = flags & FLAG_OWN ? "TX" : "RX";
  return `  ${direction} ${flags & FLAG_BRS ? "B" : "-"} ${flags & FLAG_ESI ? "E" : "-"}`;
}

function asciiText(payload: Uint8Array): string {
  let text = "";
  for (const byte of payload) text += byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : ".";
  return text;
}

/** `2023-11-14 22:13:20.654321` in the time zone of this machine. */
function localTimeText(timestampUs: number): string {
  const date = new Date(wholeSeconds(timestampUs) * 1000);
  const day = `${padded(date.getFullYear(), 4)}-${padded(date.getMonth() + 1, 2)}-${padded(date.getDate(), 2)}`;
  const time = `${padded(date.getHours(), 2)}:${padded(date.getMinutes(), 2)}:${padded(date.getSeconds(), 2)}`;
  return `${day} ${time}.${padded(microsOf(timestampUs), 6)}`;
}
