import { setTimeout as sleep } from "node:timers/promises";

/** How long a condition is waited for, ms: a limit for what hangs, generous because guests are slow. */
export const PATIENCE_MS = 60_000;
const LOOK_MS = 20;

/**
 * Waits until a condition holds.
 *
 * @param what completes "waited N s for …"
 * @param limitMs default 60,000
 * @param explain what to add to the error: what was there instead
 * @returns what the condition gave
 * @throws Error when the time is over
 */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  limitMs = PATIENCE_MS,
  explain: () => string = () => "",
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${limitMs / 1000} s for ${what}\n${explain()}`);
    await sleep(LOOK_MS);
  }
}
