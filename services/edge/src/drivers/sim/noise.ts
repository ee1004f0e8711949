/** A value that wanders smoothly between -1 and 1, as measured values do; each `line` wanders on its own. */
export type Noise = (seconds: number, line: number) => number;

/** The same seed gives the same noise. */
export function makeNoise(seed: number): Noise {
  const phase = (line: number, part: number): number =>
    fraction(Math.sin(seed * 12.9898 + line * 78.233 + part) * 43758.5453);
  return (seconds, line) => {
    const slow = Math.sin(seconds * (0.7 + phase(line, 1)) + 6.2832 * phase(line, 2));
    const fast = Math.sin(seconds * (7 + 5 * phase(line, 3)) + 6.2832 * phase(line, 4));
    return 0.6 * slow + 0.4 * fast;
  };
}

function fraction(value: number): number {
  return value - Math.floor(value);
}
