import type { FrameText } from "./frame-text.ts";

/** One of each kind of frame, as `IDWORD FLAGS DLC DATA` for `write_frames.py`. */
export const KINDS: readonly string[] = [
  "00000000 0 0 -",
  "000007FF 0 8 FFFFFFFFFFFFFFFF",
  "80000012 0 3 A1A2A3", // extended, though the id fits 11 bits
  "80000000 0 0 -",
  "9FFFFFFF 0 8 0011223344556677",
  "40000321 0 0 -", // remote
  "40000321 0 5 -",
  "C0000322 0 8 -",
  ...["9", "A", "B", "C", "D", "E", "F"].map((dlc) => `0000010${dlc} 0 ${dlc} 1122334455667788`), // classic, raw DLC above 8
  "20000004 0 8 0010000000000000", // error frame: controller problems
  "20000040 0 8 0000000000000000", // error frame: bus-off
  "00000123 1 0 -", // CAN FD
  "00000123 1 3 AABBCC",
  `80000124 3 9 ${"0C".repeat(12)}`, // with bit rate switch
  `00000125 5 C ${"18".repeat(24)}`, // with error state indicator
  `9ABCDEF0 7 F ${"404142434445464748494A4B4C4D4E4F".repeat(4)}`,
  "000007FE 0 1 5E", // the last one, so that a receiver can see the end
];

/** The kinds in the tests' common notation. */
export function kindTexts(kinds = KINDS): FrameText[] {
  return kinds.map((kind) => {
    const [word, flags, dlc, data] = kind.split(" ");
    return `${word}:${flags}:${parseInt(dlc!, 16)}:${data === "-" ? "" : data}`;
  });
}

/** Kinds that a 21-byte record cannot hold. */
export function isFdKind(kind: string): boolean {
  return kind.split(" ")[1] !== "0";
}

/** A kind as a socketsocketcan host sees it: `IDWORD DLC DATA`, 8 bytes whatever the length, no DLC above 8. */
export function recordText(kind: string): string {
  const [word, , dlc, data] = kind.split(" ");
  return `${word} ${Math.min(8, parseInt(dlc!, 16))} ${(data === "-" ? "" : data!).padEnd(16, "0")}`;
}
