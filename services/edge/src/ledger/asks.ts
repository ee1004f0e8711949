import type { BackfillRequest, BackfillResponse, GoneRange } from "@canfleet/sdk";

/** Requests that wait at most; more are refused. */
const MAX_ASKS = 64;
const MAX_IDS = 16;
/** Gone ranges in one answer at most: the rest is asked for again. */
const MAX_GONE = 64;

/** One wish for frames, of one subscriber or of several that want the same. */
export interface Ask {
  ids: string[];
  epoch: number;
  /** Next number to be served. */
  at: number;
  to: number;
  gone: GoneRange[];
}

/** What subscribers have asked for, in the order of asking. */
export class Asks {
  readonly #asks: Ask[] = [];

  /** The one to be served now. */
  get first(): Ask | undefined {
    return this.#asks[0];
  }

  /** @returns an answer when the request is refused */
  add({ id, epoch, from, to }: BackfillRequest): BackfillResponse | undefined {
    const same = this.#asks.find((ask) => ask.epoch === epoch && ask.at <= from && to <= ask.to);
    if (same) {
      if (same.ids.length < MAX_IDS && !same.ids.includes(id)) same.ids.push(id);
      return undefined;
    }
    if (this.#asks.length >= MAX_ASKS) return { id, gone: [], error: "busy" };
    this.#asks.push({ ids: [id], epoch, at: from, to, gone: [] });
    return undefined;
  }

  /** Passes over numbers that are not there. */
  static skip(ask: Ask, to: number, place: string): void {
    if (to > ask.at && ask.gone.length < MAX_GONE) ask.gone.push({ epoch: ask.epoch, from: ask.at, to, place });
    ask.at = Math.max(ask.at, to);
  }

  /** Ends the first one. @returns its answers */
  finish(): BackfillResponse[] {
    const { ids, gone } = this.#asks.shift()!;
    return ids.map((id) => ({ id, gone }));
  }

  clear(): void {
    this.#asks.length = 0;
  }
}
