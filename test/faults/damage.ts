import { readFileSync, renameSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seeded } from "./random.ts";
import { segmentsIn } from "./spool-rig.ts";

const PAGE_BYTES = 4_096;

/** Bytes of a file that are not what was written. */
export interface DamagedBytes {
  file: string;
  from: number;
  to: number;
}

type Random = (below: number) => number;

const KINDS: ((path: string, random: Random, others: string[]) => [from: number, to: number][])[] = [
  function cutTail(path, random) {
    const { length } = readFileSync(path);
    const at = random(length);
    truncateSync(path, at);
    return [[at, length]];
  },
  function flipBits(path, random) {
    const bytes = readFileSync(path);
    const places = Array.from({ length: 1 + random(8) }, () => random(bytes.length));
    // Each place once: a bit that is flipped twice is no damage.
    for (const at of new Set(places)) bytes[at]! ^= 1 << random(8);
    writeFileSync(path, bytes);
    return places.map((at) => [at, at + 1]);
  },
  function zeroPage(path, random) {
    const bytes = readFileSync(path);
    const at = random(Math.ceil(bytes.length / PAGE_BYTES)) * PAGE_BYTES;
    // The last page of a file may be a part of one.
    const end = Math.min(at + PAGE_BYTES, bytes.length);
    bytes.fill(0, at, end);
    writeFileSync(path, bytes);
    return [[at, end]];
  },
  function swapSegments(path, random, others) {
    const other = others[random(others.length)]!;
    renameSync(path, `${path}.swap`);
    renameSync(other, path);
    renameSync(`${path}.swap`, other);
    return [];
  },
  function zeroHeader(path) {
    const bytes = readFileSync(path);
    bytes.fill(0, 0, 128);
    writeFileSync(path, bytes);
    return [[0, 128]];
  },
];

/** Damages one segment of a folder, by chance that the seed repeats: seed 0 cuts a tail, 1 flips bits, and so on. */
export function damage(folder: string, seed: number): { what: string; damaged: DamagedBytes[] } {
  const random = seeded(seed + 1);
  // One that was killed while it made a file leaves it empty.
  const files = segmentsIn(folder).filter((file) => statSync(join(folder, file)).size > PAGE_BYTES);
  const file = files[random(files.length)]!;
  const others = files.filter((other) => other !== file).map((other) => join(folder, other));
  const harm = KINDS[seed % KINDS.length]!;
  const damaged = harm(join(folder, file), random, others).map(([from, to]) => ({ file, from, to }));
  return { what: `${harm.name} ${file} ${JSON.stringify(damaged.map(({ from, to }) => [from, to]))}`, damaged };
}
