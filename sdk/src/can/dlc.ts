/**
 * Data length code, the 4 bits that a frame carries (ISO 11898-1, 8.4.2.4).
 *
 * Codes 0–8 are the number of bytes. 9–15 stand for 12, 16, 20, 24, 32, 48 and 64 bytes in a CAN FD frame,
 * and for 8 bytes in a classic one, where the kernel keeps the code apart as `len8_dlc` (linux/can.h).
 */
const FD_LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64] as const;

export const MAX_CLASSIC_LENGTH = 8;
export const MAX_FD_LENGTH = 64;

/** Smallest code that holds `length` bytes (0–64), by length. */
const DLC_OF_LENGTH = Uint8Array.from({ length: MAX_FD_LENGTH + 1 }, (_, length) =>
  FD_LENGTHS.findIndex((fdLength) => fdLength >= length),
);

/** Payload length in bytes of a code: 0–8, CAN FD up to 64. */
export function lengthOfDlc(dlc: number, isFd: boolean): number {
  if (isFd) return FD_LENGTHS[dlc & 15]!;
  return Math.min(dlc & 15, MAX_CLASSIC_LENGTH);
}

/** Smallest code for a payload of `length` bytes (0–64): 9 bytes need code 9, which is 12 bytes on the wire. */
export function dlcOfLength(length: number): number {
  return DLC_OF_LENGTH[length]!;
}

/** Whether a CAN FD frame can have exactly this payload length in bytes. */
export function isFdLength(length: number): boolean {
  return length <= MAX_FD_LENGTH && FD_LENGTHS[DLC_OF_LENGTH[length]!] === length;
}
