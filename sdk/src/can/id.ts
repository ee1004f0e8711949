/**
 * The id word: the 32 bits by which SocketCAN names a frame (`canid_t` in linux/can.h).
 *
 * | bits | mask       | meaning                                                 |
 * | ---- | ---------- | ------------------------------------------------------- |
 * | 0–28 | 0x1FFFFFFF | arbitration id; error class bits where ERR is set       |
 * | 29   | 0x20000000 | ERR: error frame, made by the kernel, never on the wire |
 * | 30   | 0x40000000 | RTR: remote frame                                       |
 * | 31   | 0x80000000 | EFF: extended format, 29-bit arbitration id             |
 */
export const EFF_FLAG = 0x80000000;
export const RTR_FLAG = 0x40000000;
export const ERR_FLAG = 0x20000000;

/** Largest arbitration id in base format (11 bits). */
export const MAX_STANDARD_ID = 0x7ff;
/** Largest arbitration id in extended format (29 bits). */
export const MAX_EXTENDED_ID = 0x1fffffff;

/** What a frame is: it carries data, asks for data, or reports a fault seen by the kernel. */
export type FrameKind = "data" | "remote" | "error";

export function isExtendedWord(idWord: number): boolean {
  return (idWord & EFF_FLAG) !== 0;
}

export function isRemoteWord(idWord: number): boolean {
  // An error frame's bit 30 belongs to the error classes, so ERR decides first (linux/can/error.h).
  return (idWord & (RTR_FLAG | ERR_FLAG)) === RTR_FLAG;
}

export function isErrorWord(idWord: number): boolean {
  return (idWord & ERR_FLAG) !== 0;
}

/** Arbitration id without flag bits: 0–0x7FF, 0–0x1FFFFFFF when extended; the class bits of an error frame. */
export function arbitrationIdOf(idWord: number): number {
  return idWord & (idWord & (EFF_FLAG | ERR_FLAG) ? MAX_EXTENDED_ID : MAX_STANDARD_ID);
}

export function kindOf(idWord: number): FrameKind {
  if (isErrorWord(idWord)) return "error";
  return isRemoteWord(idWord) ? "remote" : "data";
}

/**
 * Builds an id word.
 *
 * @throws RangeError when the arbitration id does not fit its format
 */
export function makeIdWord(arbitrationId: number, isExtendedId: boolean, kind: FrameKind = "data"): number {
  const max = isExtendedId || kind === "error" ? MAX_EXTENDED_ID : MAX_STANDARD_ID;
  if (!Number.isInteger(arbitrationId) || arbitrationId < 0 || arbitrationId > max) {
    throw new RangeError(`arbitration id must be 0 to 0x${max.toString(16).toUpperCase()}, got ${arbitrationId}`);
  }
  const flags = (isExtendedId ? EFF_FLAG : 0) | (kind === "remote" ? RTR_FLAG : 0) | (kind === "error" ? ERR_FLAG : 0);
  return (arbitrationId | flags) >>> 0;
}

/** Whether an id word from a stranger is one that the kernel could have written: an 11-bit id has no higher bits. */
export function isValidIdWord(idWord: number): boolean {
  return (idWord & (EFF_FLAG | ERR_FLAG)) !== 0 || (idWord & MAX_EXTENDED_ID) <= MAX_STANDARD_ID;
}

/** The id as candump prints it: upper-case hex, 3 digits for 11-bit ids, 8 for extended ids and error classes. */
export function formatId(idWord: number): string {
  const wide = (idWord & (EFF_FLAG | ERR_FLAG)) !== 0;
  return arbitrationIdOf(idWord)
    .toString(16)
    .toUpperCase()
    .padStart(wide ? 8 : 3, "0");
}
