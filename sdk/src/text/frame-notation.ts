/**
 * The notation of can-utils for one frame, as `cansend` reads it and `candump -L` writes it:
 *
 * | text                   | frame                                                           |
 * | ---------------------- | --------------------------------------------------------------- |
 * | `123#DEADBEEF`         | 3 digits: base format (11 bits)                                 |
 * | `1F334455#11.22.33`    | 8 digits: extended format (29 bits); dots between bytes as you like |
 * | `123#R`, `123#R4`      | remote frame, with the length it asks for                       |
 * | `123##1AABB`           | CAN FD: a digit with the flags (1 BRS, 2 ESI), then the payload |
 * | `123#1122334455667788_C` | classic frame of 8 bytes with raw DLC 12; also `123#R8_C`     |
 * | `20000004#0008000000000000` | error frame: 8 digits with bit 29 (`CAN_ERR_FLAG`)         |
 */
import { dlcOfLength, lengthOfDlc, MAX_CLASSIC_LENGTH, MAX_FD_LENGTH } from "../can/dlc.ts";
import { FLAG_BRS, FLAG_ESI, FLAG_FD, FrameBatch, type FrameParts } from "../can/frame-batch.ts";
import { EFF_FLAG, ERR_FLAG, isRemoteWord, MAX_STANDARD_ID, RTR_FLAG } from "../can/id.ts";
import { CanfleetError } from "../errors.ts";
import { frameIdText, HEX_BYTES, hexDigit, nibbleAt } from "./hex.ts";

const HASH = 0x23;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const UPPER_R = 0x52;
const LOWER_R = 0x72;

/** Flags digit of a CAN FD frame (linux/can.h); 4, which newer kernels set in every FD frame, says nothing more. */
const CANFD_BRS = 1;
const CANFD_ESI = 2;

/** Bits that an 8-digit id may have: 29 of the id or of the error classes, and the mark of an error frame. */
const WIDE_ID_LIMIT = 0x3fffffff;

/**
 * Adds the frame that `text` has between `from` and `to`, with time 0; on trouble the batch stays as it was.
 * A CAN FD payload of a length that does not exist is filled up with zeros to the next one, as cansend does.
 *
 * @returns undefined, or what was wanted where the text is not a frame
 * @throws RangeError when the batch has no room for 64 bytes more
 */
export function appendFrameText(batch: FrameBatch, text: string, from = 0, to = text.length): string | undefined {
  if (!batch.fits(MAX_FD_LENGTH)) throw new RangeError("the batch is full");
  const digits = text.charCodeAt(from + 3) === HASH ? 3 : 8;
  const at = from + digits + 1;
  if (at > to || text.charCodeAt(at - 1) !== HASH) return "an id of 3 or 8 hex digits, then #";
  const idWord = readIdWord(text, from, digits);
  if (idWord < 0) return "an id of 000 to 7FF, 00000000 to 1FFFFFFF, or 20000000 to 3FFFFFFF for an error frame";
  const first = at < to ? text.charCodeAt(at) : 0;
  if (first === HASH) return appendFd(batch, idWord, text, at + 1, to);
  if (first === UPPER_R || first === LOWER_R) return appendRemote(batch, idWord, text, at + 1, to);
  return appendClassic(batch, idWord, text, at, to);
}

/** -1 where the digits are not an id. */
function readIdWord(text: string, from: number, digits: number): number {
  let value = 0;
  for (let at = from; at < from + digits; at++) {
    const nibble = nibbleAt(text, at);
    if (nibble > 15) return -1;
    value = value * 16 + nibble;
  }
  if (digits === 3) return value <= MAX_STANDARD_ID ? value : -1;
  if (value > WIDE_ID_LIMIT) return -1;
  return value & ERR_FLAG ? value : (value | EFF_FLAG) >>> 0;
}

function appendClassic(batch: FrameBatch, idWord: number, text: string, from: number, to: number): string | undefined {
  const end = readBytes(batch, text, from, to, MAX_CLASSIC_LENGTH);
  const length = bytesRead;
  let dlc = length;
  if (end !== to) {
    dlc = rawDlcAt(text, end, to);
    if (length !== MAX_CLASSIC_LENGTH || dlc < 0) return "up to 8 bytes as pairs of hex digits; after 8 bytes _9 to _F";
  }
  addRow(batch, idWord, length, length, dlc, 0);
  return undefined;
}

function appendRemote(batch: FrameBatch, idWord: number, text: string, from: number, to: number): string | undefined {
  if (idWord & ERR_FLAG) return "data bytes; an error frame cannot be a remote frame";
  const length = from < to ? nibbleAt(text, from) : 0;
  let dlc = length;
  if (to > from + 1) dlc = length === MAX_CLASSIC_LENGTH ? rawDlcAt(text, from + 1, to) : -1;
  if (length > MAX_CLASSIC_LENGTH || dlc < 0) return "R, R0 to R8, or R8_9 to R8_F";
  addRow(batch, (idWord | RTR_FLAG) >>> 0, 0, length, dlc, 0);
  return undefined;
}

function appendFd(batch: FrameBatch, idWord: number, text: string, from: number, to: number): string | undefined {
  if (idWord & ERR_FLAG) return "one #; an error frame cannot be a CAN FD frame";
  const bits = from < to ? nibbleAt(text, from) : 255;
  if (bits > 15) return "a flags digit after ## (0, 1 for BRS, 2 for ESI, 3 for both)";
  const end = readBytes(batch, text, from + 1, to, MAX_FD_LENGTH);
  if (end !== to) return "up to 64 bytes as pairs of hex digits";
  const dlc = dlcOfLength(bytesRead);
  const length = lengthOfDlc(dlc, true);
  const start = batch.dataLength;
  batch.data.fill(0, start + bytesRead, start + length);
  const flags = FLAG_FD | (bits & CANFD_BRS ? FLAG_BRS : 0) | (bits & CANFD_ESI ? FLAG_ESI : 0);
  addRow(batch, idWord, length, length, dlc, flags);
  return undefined;
}

/** How many bytes the last `readBytes` took: a second result without an object for each frame. */
let bytesRead = 0;

/** Reads pairs of digits into the free end of the batch's data; returns where it stopped. */
function readBytes(batch: FrameBatch, text: string, from: number, to: number, maxLength: number): number {
  const start = batch.dataLength;
  let at = from;
  bytesRead = 0;
  while (at < to && bytesRead < maxLength) {
    const pair = text.charCodeAt(at) === DOT ? at + 1 : at;
    if (pair === to) return to;
    const high = nibbleAt(text, pair);
    const low = pair + 1 < to ? nibbleAt(text, pair + 1) : 255;
    if (high > 15 || low > 15) return at;
    batch.data[start + bytesRead++] = (high << 4) | low;
    at = pair + 2;
  }
  return at;
}

/** The digit after `_` when it ends the text and is 9 to 15; else -1. */
function rawDlcAt(text: string, at: number, to: number): number {
  if (at + 2 !== to || text.charCodeAt(at) !== UNDERSCORE) return -1;
  const dlc = nibbleAt(text, at + 1);
  return dlc > MAX_CLASSIC_LENGTH && dlc <= 15 ? dlc : -1;
}

function addRow(batch: FrameBatch, idWord: number, stored: number, length: number, dlc: number, flags: number): void {
  const i = batch.count;
  batch.timestampUs[i] = 0;
  batch.timestampNs[i] = 0;
  batch.idWord[i] = idWord;
  batch.length[i] = length;
  batch.dlc[i] = dlc;
  batch.flags[i] = flags;
  batch.dataOffset[i + 1] = batch.dataOffset[i]! + stored;
  batch.count = i + 1;
}

/**
 * Reads one frame in the notation of cansend, for example `123#DEADBEEF`; blanks around it are ignored.
 *
 * @throws CanfleetError `TEXT_BAD_FRAME` that says what was wanted
 */
export function parseFrame(text: string): FrameParts {
  const batch = new FrameBatch(1);
  const wanted = appendFrameText(batch, text.trim());
  if (wanted !== undefined) {
    throw new CanfleetError("TEXT_BAD_FRAME", `frame "${text}": expected ${wanted}, for example 123#DEADBEEF`);
  }
  const parts = { idWord: batch.idWord[0]!, dlc: batch.dlc[0]!, flags: batch.flags[0]! };
  return isRemoteWord(parts.idWord)
    ? { ...parts, length: batch.length[0]! }
    : { ...parts, data: batch.payload(0).slice() };
}

/** Frame `i` in the notation of cansend, upper case, without dots: what `candump -L` prints after the interface. */
export function formatFrame(batch: FrameBatch, i: number): string {
  const idWord = batch.idWord[i]!;
  const length = batch.length[i]!;
  if (batch.isFd(i)) return `${frameIdText(idWord)}##${fdFlagsDigit(batch.flags[i]!)}${hexOfPayload(batch, i)}`;
  const dlc = batch.dlc[i]!;
  const rawDlc = length === MAX_CLASSIC_LENGTH && dlc > MAX_CLASSIC_LENGTH ? `_${hexDigit(dlc)}` : "";
  if (isRemoteWord(idWord)) return `${frameIdText(idWord)}#R${length === 0 ? "" : hexDigit(length)}${rawDlc}`;
  return `${frameIdText(idWord)}#${hexOfPayload(batch, i)}${rawDlc}`;
}

function fdFlagsDigit(flags: number): string {
  return hexDigit((flags & FLAG_BRS ? CANFD_BRS : 0) | (flags & FLAG_ESI ? CANFD_ESI : 0));
}

function hexOfPayload(batch: FrameBatch, i: number): string {
  const end = batch.dataOffset[i + 1]!;
  let text = "";
  for (let at = batch.dataOffset[i]!; at < end; at++) text += HEX_BYTES[batch.data[at]!]!;
  return text;
}
