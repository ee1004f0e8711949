import type { ClockPong } from "@canfleet/sdk";

/** Answers of which the quickest counts. */
const KEPT_SAMPLES = 16;
/** How far two oscillators drift apart at most: 100 ppm. */
const DRIFT = 1e-4;

/** The edge's wall clock less the hub's, and how wrong that may be, µs; null: not known. */
export interface ClockOffset {
  offsetUs: number | null;
  errorUs: number | null;
}

interface Sample {
  /** The hub's wall clock less the edge's monotonic one, µs. */
  hubUs: number;
  /** Half the way there and back, µs. */
  errorUs: number;
  atUs: number;
}

/** How far the edge's clock is from the hub's, from pings and their answers, as NTP does. */
export class HubOffset {
  readonly #clockId: number;
  #samples: Sample[] = [];

  /** @param clockId of the pings whose answers count */
  constructor(clockId: number) {
    this.#clockId = clockId;
  }

  /** Enters an answer. @param nowUs the edge's monotonic clock */
  answered({ clock, at, hub }: ClockPong, nowUs: number): void {
    if (clock !== this.#clockId || at > nowUs) return;
    const sample: Sample = { hubUs: hub - (at + nowUs) / 2, errorUs: (nowUs - at) / 2, atUs: nowUs };
    const best = this.#best(nowUs);
    // Outside of what both allow: the hub's clock was set, or it is another hub.
    if (best && Math.abs(best.hubUs - sample.hubUs) > errorOf(best, nowUs) + sample.errorUs + 1_000) this.#samples = [];
    this.#samples.push(sample);
    if (this.#samples.length > KEPT_SAMPLES) this.#samples.shift();
  }

  /** Forgets everything: what is known belongs to a connection that is over. */
  clear(): void {
    this.#samples = [];
  }

  #best(nowUs: number): Sample | undefined {
    return this.#samples.reduce<Sample | undefined>(
      (best, sample) => (best && errorOf(best, nowUs) <= errorOf(sample, nowUs) ? best : sample),
      undefined,
    );
  }

  /**
   * @param wallUs the edge's wall clock, µs since 1970 UTC
   * @param nowUs the edge's monotonic clock at the same moment
   */
  at(wallUs: number, nowUs: number): ClockOffset {
    const best = this.#best(nowUs);
    if (!best) return { offsetUs: null, errorUs: null };
    // Wall clocks are read in whole ms at both ends.
    return { offsetUs: Math.round(wallUs - nowUs - best.hubUs), errorUs: Math.ceil(errorOf(best, nowUs) + 1_000) };
  }
}

function errorOf({ errorUs, atUs }: Sample, nowUs: number): number {
  return errorUs + (nowUs - atUs) * DRIFT;
}
