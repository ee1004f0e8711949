import { arbitrationIdOf, ERR_FLAG, formatId, isErrorWord } from "../can/id.ts";

/** Value of a hex digit by character code; 255 for every other character. */
const NIBBLE = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  NIBBLE[digit.charCodeAt(0)] = value;
  NIBBLE[digit.toUpperCase().charCodeAt(0)] = value;
}

/** 0–15 for a hex digit of either case; above 15 for anything else, the end of the text included. */
export function nibbleAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 128 ? NIBBLE[code]! : 255;
}

/** Two upper-case digits for each byte value. */
export const HEX_BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).toUpperCase().padStart(2, "0"),
);

/** One upper-case digit, 0–15. */
export function hexDigit(value: number): string {
  return HEX_BYTES[value & 15]!.charAt(1);
}

/** The id as candump prints it in a frame: an error frame's 8 digits hold bit 29 (`CAN_ERR_FLAG`) besides its classes. */
export function frameIdText(idWord: number): string {
  if (!isErrorWord(idWord)) return formatId(idWord);
  return (ERR_FLAG | arbitrationIdOf(idWord)).toString(16).toUpperCase();
}
