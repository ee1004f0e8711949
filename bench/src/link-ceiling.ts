import type { Fed, FeedOptions } from "./rig.ts";

const FIRST_RATE = 2500;
/** Doublings at most: 2500 to 2.56 million frames/s. */
const DOUBLINGS = 10;
/** Halvings of the gap between a rate that went through and one that did not: the result is off by 12 % at most. */
const HALVINGS = 3;
const STEP_MS = 1000;
/** A feeder that is slower than this share of the wanted rate tells nothing about it. */
const FED_SHARE = 0.9;

/** Anything that frames go through, or that takes them. */
export interface Passable {
  pass(feed: FeedOptions): Promise<{ fed: Fed; app: { frames: number } }>;
}

/** The highest rate in frames/s at which every frame arrives for a second. */
export async function findCeiling(path: Passable): Promise<number> {
  let best = 0;
  let tooFast = FIRST_RATE;
  for (let step = 0; step < DOUBLINGS && (await passesAll(path, tooFast)); step++) {
    best = tooFast;
    tooFast *= 2;
  }
  if (best === 0) return 0;
  for (let step = 0; step < HALVINGS; step++) {
    const middle = Math.round(Math.sqrt(best * tooFast));
    if (await passesAll(path, middle)) best = middle;
    else tooFast = middle;
  }
  return best;
}

/** Each rate may fail once: other programs use the machine too. */
async function passesAll(path: Passable, rate: number): Promise<boolean> {
  return (await isLossless(path, rate)) || (await isLossless(path, rate));
}

async function isLossless(path: Passable, rate: number): Promise<boolean> {
  const { fed, app } = await path.pass({ rate, ms: STEP_MS });
  return fed.sent / fed.seconds > FED_SHARE * rate && app.frames === fed.sent;
}
