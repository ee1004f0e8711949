import { EFF_FLAG, FrameBatch } from "@canfleet/sdk";

/** Periods of a car's messages, ms. */
const PERIODS_MS = [10, 10, 20, 20, 50, 100, 100, 200, 500, 1000];
const IDS = 40;

/**
 * Frames as a car's controllers send them: 40 ids with fixed periods, some µs of jitter, 8 bytes of counters and
 * slowly changing values. The same each time it is called.
 */
export function periodicTraffic(count: number, { extended }: { extended: boolean }): FrameBatch {
  const nextUs = Array.from({ length: IDS }, (_, n) => n * 137);
  const batch = new FrameBatch(count, count * 8);
  const data = new Uint8Array(8);
  batch.epoch = 1.7e15;
  batch.seq = 1_000_000;
  let state = 1;
  for (let i = 0; i < count; i++) {
    const n = nextUs.indexOf(Math.min(...nextUs));
    state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
    data.set([i & 0x0f, n, (i >> 4) & 0xff, state & 3, 0x80, 0xff, (state >> 8) & 0x0f, 0]);
    const id = 0x100 + n * 16;
    const idWord = extended ? (EFF_FLAG | 0x18fe0000 | (id << 4)) >>> 0 : id;
    batch.push({ timestampUs: 1.7e15 + nextUs[n]!, idWord, data });
    nextUs[n]! += PERIODS_MS[n % PERIODS_MS.length]! * 1000 + (state & 0x1f);
  }
  return batch;
}
