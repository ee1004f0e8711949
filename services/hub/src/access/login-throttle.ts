import { isIPv6 } from "node:net";

/** Failures that are free at once, and how many more each minute. */
const FREE_FAILURES = 5;
const FORGIVEN_PER_MS = FREE_FAILURES / 60_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;
/** Doublings that are kept in mind: a pause is at its longest after six. */
const MAX_LEVEL = FREE_FAILURES + 10;
/** Keys that are followed at most; the one that was longest quiet is forgotten. */
const MAX_KEYS = 10_000;

interface Bucket {
  /** Failures, and attempts that are being looked at. */
  level: number;
  atMs: number;
  pausedUntilMs: number;
}

/**
 * Slows down who guesses: five failures a minute are free, then each doubles a pause, from 1 s to 60 s, in which attempts
 * are turned away unlooked at. An attempt counts from its beginning, so that many at once gain nothing.
 */
export class LoginThrottle {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  /** @param now clock in ms. Default: performance.now() */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Begins an attempt; false when it is to be turned away. */
  begin(key: string): boolean {
    const nowMs = this.#now();
    const bucket = this.#bucket(key, nowMs);
    if (nowMs < bucket.pausedUntilMs) return false;
    bucket.level = Math.min(MAX_LEVEL, bucket.level + 1);
    const over = bucket.level - FREE_FAILURES;
    if (over > 0) bucket.pausedUntilMs = nowMs + Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.ceil(over - 1));
    return true;
  }

  /** An attempt was right after all, or was never looked at: it does not count. */
  forgive(key: string): void {
    const bucket = this.#buckets.get(key);
    if (!bucket) return;
    bucket.level = Math.max(0, bucket.level - 1);
    if (bucket.level <= FREE_FAILURES) bucket.pausedUntilMs = 0;
  }

  #bucket(key: string, nowMs: number): Bucket {
    const known = this.#buckets.get(key);
    const bucket = known ?? { level: 0, atMs: nowMs, pausedUntilMs: 0 };
    bucket.level = Math.max(0, bucket.level - (nowMs - bucket.atMs) * FORGIVEN_PER_MS);
    bucket.atMs = nowMs;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MAX_KEYS) this.#buckets.delete(this.#buckets.keys().next().value!);
    return bucket;
  }
}

/** What addresses are counted by: an IPv6 host has a whole /64 to itself. */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return "unknown";
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("::");
  const first = head.split(":");
  const missing = tail === undefined ? 0 : 8 - first.length - (tail === "" ? 0 : tail.split(":").length);
  const full = [...first, ...Array.from({ length: Math.max(0, missing) }, () => "0")];
  return `${full.slice(0, 4).join(":")}::/64`;
}
