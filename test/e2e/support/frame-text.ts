import type { FrameBatch } from "@canfleet/sdk";

/**
 * One frame as a word that holds everything the bus carried, to be compared bit for bit: id word, FD flags (1 FD,
 * 2 BRS, 4 ESI), raw DLC, payload: `000001F0:0:8:1122334455667788`.
 *
 * Made here from each program's own notation, not with the project's parsers: a mistake in those must show.
 */
export type FrameText = string;

const EFF = 0x80000000;
const ERR = 0x20000000;
const FD_FLAGS = 7;
const FD_LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64];

function frameText(idWord: number, flags: number, dlc: number, data: string): FrameText {
  const word = (idWord >>> 0).toString(16).toUpperCase().padStart(8, "0");
  return `${word}:${flags & FD_FLAGS}:${dlc}:${data.toUpperCase()}`;
}

/** Frame `i` of a batch. */
export function ofBatch(batch: FrameBatch, i: number): FrameText {
  const data = Buffer.from(batch.payload(i)).toString("hex");
  return frameText(batch.idWord[i]!, batch.flags[i]!, batch.dlc[i]!, data);
}

/** What can-utils writes: `123#1122`, `12345678#R5`, `123#1122334455667788_E`, `123##31122`. */
export function ofCanUtils(text: string): FrameText {
  const match = /^([0-9A-F]{3}|[0-9A-F]{8})#(.*)$/i.exec(text);
  if (!match) throw new Error(`not a frame: ${text}`);
  const [, id = "", rest = ""] = match;
  const value = parseInt(id, 16);
  const word = id.length === 3 || value & ERR ? value : (value | EFF) >>> 0;
  if (rest.startsWith("#")) return ofFd(word, rest.slice(1));
  if (rest.startsWith("R")) return ofRemote(word, rest.slice(1));
  const [data = "", raw] = rest.replaceAll(".", "").split("_");
  return frameText(word, 0, raw === undefined ? data.length / 2 : parseInt(raw, 16), data);
}

function ofRemote(word: number, rest: string): FrameText {
  const [length = "", raw] = rest.split("_");
  return frameText(word | 0x40000000, 0, raw === undefined ? Number(length) : parseInt(raw, 16), "");
}

function ofFd(word: number, rest: string): FrameText {
  const flags = parseInt(rest.slice(0, 1), 16);
  const data = rest.slice(1);
  // canfd_frame.flags: 1 BRS, 2 ESI, 4 FDF (linux/can.h); here 1 FD, 2 BRS, 4 ESI.
  const marks = 1 | (flags & 1 ? 2 : 0) | (flags & 2 ? 4 : 0);
  return frameText(word, marks, FD_LENGTHS.indexOf(data.length / 2), data);
}

/** One line of `candump -L`: time in µs, interface, frame. Undefined for lines that are no frames. */
export function ofLogLine(line: string): { timestampUs: number; channel: string; frame: FrameText } | undefined {
  const match = /^\((\d+)\.(\d{6})(?:\d{3})?\) (\S+) (\S+)(?: [RT])?$/.exec(line);
  if (!match) return undefined;
  const [, seconds = "", micros = "", channel = "", frame = ""] = match;
  return { timestampUs: Number(seconds) * 1e6 + Number(micros), channel, frame: ofCanUtils(frame) };
}

/** One line of the stranger `decode_batches.py`: seq, time, id word, flags, dlc, payload. */
export function ofStranger(line: string): { seq: number; timestampUs: number; flags: number; frame: FrameText } {
  const [seq, time, word = "", flags, dlc, data = ""] = line.split(" ");
  const frame = frameText(parseInt(word, 16), Number(flags), Number(dlc), data === "-" ? "" : data);
  return { seq: Number(seq), timestampUs: Number(time), flags: Number(flags), frame };
}
