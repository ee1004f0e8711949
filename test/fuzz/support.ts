import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isCanfleetError } from "@canfleet/sdk";

/** The same in every run unless FUZZ_SEED says otherwise; printed by every run. */
export const SEED = Number(process.env.FUZZ_SEED ?? 1);
console.log(`FUZZ_SEED=${SEED}`);

/** Cases of a fuzz: what CI takes, or as many times that as FUZZ_CASES says. Default 1. */
export function cases(inCi: number): number {
  return Math.ceil(inCi * Number(process.env.FUZZ_CASES ?? 1));
}

/** Random numbers that a seed determines (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** The bytes with up to four changes: bits, bytes, pieces that go, come twice or move to another place. */
  mutate(bytes: Uint8Array): Buffer {
    let result = Buffer.from(bytes);
    for (let left = this.below(5); left > 0; left--) result = this.#change(result);
    return result;
  }

  #change(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    const at = this.below(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + this.below(8));
    const [before, piece, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
    switch (this.below(6)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << this.below(8);
        return bytes;
      case 1:
        if (at < bytes.length) bytes[at] = this.pick([0, 1, 0x7f, 0x80, 0xff, this.below(256)]);
        return bytes;
      case 2:
        return Buffer.concat([before, after]);
      case 3:
        return Buffer.concat([before, piece, piece, after]);
      case 4:
        return Buffer.concat([before, Buffer.from(piece).reverse(), after]);
      default:
        return Buffer.from(before);
    }
  }

  /** Cuts the bytes anywhere. */
  *chunks(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + 1 + this.below(this.pick([2, 16, bytes.length])));
      yield bytes.subarray(at, end);
      at = end;
    }
  }
}

/** What takes the bytes either takes them or throws a CanfleetError. @returns whether it took them */
export function takesOrRefuses(what: string, number: number, take: () => unknown): boolean {
  try {
    take();
    return true;
  } catch (error) {
    if (isCanfleetError(error)) return false;
    assert.fail(`FUZZ_SEED=${SEED}, ${what}, case ${number}: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

/** Nobody has given every object something. */
export function assertPrototypesAreClean(): void {
  for (const prototype of [Object.prototype, Array.prototype]) {
    assert.deepEqual(Object.keys(prototype), []);
  }
}

/** Bytes of the heap that are in use, after a collection. */
export function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

/** A module of another workspace that its package does not export. */
export async function internal<T>(path: string): Promise<T> {
  return (await import(new URL(`../../../${path}`, import.meta.url).href)) as T;
}
