/** What a soak does to a hub and its edges. */
export type FaultKind = "stall" | "hub-kill" | "edge-kill" | "edge-pause" | "hub-pause" | "link-cut";

export interface PlannedFault {
  kind: FaultKind;
  /** How long it lasts, ms. */
  lastsMs: number;
}

/** Shortest and longest, ms. */
const LASTS_MS: { [kind in FaultKind]: [number, number] } = {
  stall: [3_000, 15_000],
  "hub-kill": [500, 3_000],
  "edge-kill": [0, 2_000],
  "edge-pause": [500, 5_000],
  "hub-pause": [500, 5_000],
  "link-cut": [500, 3_000],
};
const KINDS = Object.keys(LASTS_MS) as FaultKind[];

/**
 * The faults of a run, one after the other without end; the same seed gives the same ones. Each kind comes once before
 * any comes again, so that a short run has seen most of them.
 */
export function* planFaults(seed: number): Generator<PlannedFault, never> {
  const random = mulberry32(seed);
  for (;;) {
    const round = [...KINDS];
    while (round.length > 0) {
      const [kind] = round.splice(Math.floor(random() * round.length), 1) as [FaultKind];
      const [least, most] = LASTS_MS[kind];
      yield { kind, lastsMs: Math.round(least + random() * (most - least)) };
    }
  }
}

/** Tommy Ettinger's mulberry32 (public domain): 0 up to, not including, 1. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A value at a time. */
export interface Sample {
  hours: number;
  value: number;
}

/**
 * Straight line through samples at even times, by least squares.
 *
 * Memory moves in waves of garbage collection, so that neighbours say much the same: as many samples count as would be
 * independent of each other, n (1 - r) / (1 + r) with r the correlation of neighbours (Santer et al. 2000,
 * doi:10.1029/1999JD901105, 2.1).
 */
export interface Slope {
  perHour: number;
  /** Standard error of `perHour`; Infinity where there are too few samples to tell. */
  error: number;
}

export function slopeOf(samples: readonly Sample[]): Slope {
  const n = samples.length;
  if (n < 3) return { perHour: 0, error: Infinity };
  const meanHours = samples.reduce((sum, { hours }) => sum + hours, 0) / n;
  const meanValue = samples.reduce((sum, { value }) => sum + value, 0) / n;
  let spread = 0;
  let common = 0;
  for (const { hours, value } of samples) {
    spread += (hours - meanHours) ** 2;
    common += (hours - meanHours) * (value - meanValue);
  }
  const perHour = common / spread;
  const residuals = samples.map(({ hours, value }) => value - meanValue - perHour * (hours - meanHours));
  const rest = residuals.reduce((sum, residual) => sum + residual ** 2, 0);
  const independent = n * independentShare(residuals, rest);
  return { perHour, error: independent > 2 ? Math.sqrt(rest / (independent - 2) / spread) : Infinity };
}

/** How much of each value its neighbour does not say already, 0 to 1. */
function independentShare(residuals: readonly number[], squares: number): number {
  if (squares === 0) return 1;
  let common = 0;
  for (let i = 1; i < residuals.length; i++) common += residuals[i]! * residuals[i - 1]!;
  const correlation = Math.min(1, Math.max(0, common / squares));
  return (1 - correlation) / (1 + correlation);
}
