import { EdgeEncoder, encodeBatch, encodeRecords, maxEncodedBytes, type FrameBatch } from "@canfleet/sdk";
import type { BenchRun, Contender } from "../bench-run.ts";
import { periodicTraffic } from "../traffic.ts";

const FRAMES = 10_240;

/** Bytes that a frame of 8 payload bytes takes on each wire, by the encoders themselves. */
export async function wireScenario(run: BenchRun): Promise<void> {
  const traffic = {
    "11-bit ids": periodicTraffic(FRAMES, { extended: false }),
    "29-bit ids": periodicTraffic(FRAMES, { extended: true }),
  };
  const wires: [name: string, bytes: (frames: FrameBatch) => number][] = [
    ["raw link, records (seed's format)", recordBytes],
    ["raw link, extended", extendedBytes],
    ...[1, 10, 100, 256].map((size): [string, (frames: FrameBatch) => number] => [
      `batch of ${size}`,
      (frames) => batchBytes(frames, size),
    ]),
  ];
  const contenders = wires.map(([name, bytes]): Contender => {
    const tables = Object.entries(traffic).map(([title, frames]) => {
      return [`wire, ${title}, 8 bytes`, { bytesPerFrame: bytes(frames) / FRAMES }] as const;
    });
    return { name, measure: () => Promise.resolve(Object.fromEntries(tables)) };
  });
  await run.compete(contenders);
}

function recordBytes(frames: FrameBatch): number {
  return encodeRecords(frames, 21, new Uint8Array(FRAMES * 21)).bytes;
}

function extendedBytes(frames: FrameBatch): number {
  return new EdgeEncoder().encode(frames, new Uint8Array(maxEncodedBytes(frames)));
}

function batchBytes(frames: FrameBatch, size: number): number {
  let bytes = 0;
  for (let from = 0; from < FRAMES; from += size)
    bytes += encodeBatch(frames.clone(from, Math.min(FRAMES, from + size))).length;
  return bytes;
}
