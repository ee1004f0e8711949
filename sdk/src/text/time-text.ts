/** Whole seconds of a time in µs; exact, unlike a division that is rounded afterwards. */
export function wholeSeconds(timestampUs: number): number {
  return (timestampUs - microsOf(timestampUs)) / 1e6;
}

/** µs within the second, 0–999999. */
export function microsOf(timestampUs: number): number {
  return timestampUs % 1e6;
}

/** `1700000000.654321`: seconds to at least `secondDigits` places, then six decimals. */
export function secondsText(timestampUs: number, secondDigits: number): string {
  return `${padded(wholeSeconds(timestampUs), secondDigits)}.${padded(microsOf(timestampUs), 6)}`;
}

/** A whole number with leading zeros. */
export function padded(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}
