import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { ofLogLine, type FrameText } from "./frame-text.ts";

/** Folder of recorded logs: `CANFLEET_DATA`, else `shared/data` beside the checkout. */
const FOLDER = process.env.CANFLEET_DATA ?? fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
const FILE = `${FOLDER}/nmea2000-60s.log.gz`;

/** 60 s of a boat's NMEA 2000 bus, 250 kbit/s, 29-bit ids; 49,928 frames. */
export interface RealLog {
  /** The frames, in order. */
  frames: FrameText[];
  /** Lines as candump wrote them, in order, for interface `can0`. */
  lines: string[];
}

/**
 * node:test's `skip`: why the log cannot be read here, or false. With `CANFLEET_REQUIRE_REAL=1` nothing is skipped:
 * a missing log is then a failure.
 */
export function skipWithoutLog(): string | false {
  if (existsSync(FILE) || process.env.CANFLEET_REQUIRE_REAL === "1") return false;
  return "no recorded log: set CANFLEET_DATA to the folder that holds nmea2000-60s.log.gz";
}

/** @throws Error when the log is missing or has a line that is no frame */
export function readRealLog(): RealLog {
  const lines = gunzipSync(readFileSync(FILE))
    .toString()
    .split("\n")
    .filter((line) => line !== "");
  const frames = lines.map((line) => {
    const parsed = ofLogLine(line);
    if (!parsed) throw new Error(`not a frame: ${line}`);
    return parsed.frame;
  });
  return { frames, lines };
}

/** The same frames with new times, `framesPerSecond` of them each second: a pace that canplayer keeps. */
export function repace(lines: readonly string[], framesPerSecond: number): string[] {
  return lines.map((line, i) => {
    const timeUs = Math.round((i * 1e6) / framesPerSecond);
    const time = `${1_700_000_000 + Math.floor(timeUs / 1e6)}.${String(timeUs % 1_000_000).padStart(6, "0")}`;
    return `(${time})${line.slice(line.indexOf(")") + 1)}`;
  });
}
