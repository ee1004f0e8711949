/**
 * What canfleet writes into a log where frames are missing, one line for each place where they were lost:
 *
 *     # lost 1234 frames of pi-7-can0 at edge, numbers 5000-6233 of epoch 1700000000000000
 *     # lost an unknown number of frames of pi-7-can0 at kernel
 *
 * `canplayer` and `log2asc` pass over it, as over every line that does not begin with `(`; canplayer gives up at one
 * of 400 characters and more, which names of edges and buses do not reach.
 */
import type { Losses } from "../can/frame-batch.ts";

/** Numbers `from` up to, not including, `to` of one epoch of a bus. */
interface Numbers {
  epoch: number;
  from: number;
  to: number;
}

/** A line about a loss, read. */
export interface LostLine {
  /** The interface name, as in the lines of the frames. */
  channel: string;
  /** Where the frames were lost. */
  place: string;
  /** null where the number is not known. */
  frames: number | null;
  /** Which frames, where that is known. */
  range?: Numbers;
}

const LOST_LINE =
  /^# lost (?:an unknown number of|(\d{1,15})) frames? of (\S+) at ([^\s,]+)(?:, numbers (\d{1,15})-(\d{1,15}) of epoch (\d{1,16}))?\s*$/;

/**
 * The lines for a loss, as a bus tells it, each with its line end; empty when it counts nothing.
 *
 * @param channel the interface name, as in the lines of the frames; holds no blanks
 */
export function formatLostLines({ lost, range }: { lost: Losses; range?: Numbers }, channel: string): string {
  let lines = "";
  for (const [place, frames] of Object.entries(lost)) {
    if (frames !== 0) lines += `# lost ${countText(frames)} of ${channel} at ${place}${rangeText(range)}\n`;
  }
  return lines;
}

function countText(frames: number | null): string {
  if (frames === null) return "an unknown number of frames";
  return `${frames} frame${frames === 1 ? "" : "s"}`;
}

function rangeText(range: Numbers | undefined): string {
  return range ? `, numbers ${range.from}-${range.to - 1} of epoch ${range.epoch}` : "";
}

/** Reads a line about a loss; undefined for every other line. The line end may be left on. */
export function parseLostLine(line: string): LostLine | undefined {
  if (!line.startsWith("# lost ")) return undefined;
  const [, frames, channel, place, from, last, epoch] = LOST_LINE.exec(line) ?? [];
  if (channel === undefined || place === undefined) return undefined;
  const read: LostLine = { channel, place, frames: frames === undefined ? null : Number(frames) };
  if (epoch !== undefined) read.range = { epoch: Number(epoch), from: Number(from), to: Number(last) + 1 };
  return read;
}
