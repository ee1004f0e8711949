import assert from "node:assert/strict";
import type { FrameBatch } from "@canfleet/sdk";
import { ofBatch, ofStranger, type FrameText } from "./frame-text.ts";

/** What one receiver got, frame by frame. */
export class Ledger {
  readonly name: string;
  readonly frames: FrameText[] = [];
  readonly timesUs: number[] = [];
  /** Sums of `FLAG_*`, own-frame marks included. */
  readonly flags: number[] = [];
  /** What the receiver was told of losses. */
  readonly losses: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  addBatch(batch: FrameBatch): void {
    for (let i = 0; i < batch.count; i++) this.add(ofBatch(batch, i), batch.timestampUs[i]!, batch.flags[i]);
    if (batch.lost) this.losses.push(JSON.stringify(batch.lost));
  }

  /** Takes a line of `decode_batches.py`. */
  addStrangerLine(line: string): void {
    if (line.startsWith("LOST")) this.losses.push(line);
    else if (line !== "READY") {
      const { frame, timestampUs, flags } = ofStranger(line);
      this.add(frame, timestampUs, flags);
    }
  }

  add(frame: FrameText, timestampUs: number, flags = 0): void {
    this.frames.push(frame);
    this.timesUs.push(timestampUs);
    this.flags.push(flags);
  }

  get count(): number {
    return this.frames.length;
  }

  /** Forgets everything, for the next run. */
  clear(): void {
    this.frames.length = this.timesUs.length = this.flags.length = this.losses.length = 0;
  }
}

/** The first place where two lists differ, told for people; undefined when they are equal. */
export function firstDifference(produced: readonly FrameText[], delivered: readonly FrameText[]): string | undefined {
  const at = produced.findIndex((frame, i) => frame !== delivered[i]);
  if (at < 0 && produced.length === delivered.length) return undefined;
  const place = at < 0 ? produced.length : at;
  const around = (list: readonly FrameText[]): string => list.slice(Math.max(0, place - 2), place + 3).join(" ");
  return `frame ${place}: produced … ${around(produced)} …, delivered … ${around(delivered)} …`;
}

/**
 * The receiver has every frame that was produced, once, in order, bit for bit, at times that never go back, and was
 * told of no loss. Prints the figures either way.
 */
export function assertSame(produced: readonly FrameText[], receiver: Ledger): void {
  const { name, frames, timesUs, losses } = receiver;
  console.log(`${name}: produced ${produced.length} delivered ${frames.length} losses told ${losses.length}`);
  assert.equal(firstDifference(produced, frames), undefined, name);
  assert.deepEqual(losses, [], `${name}: told of losses`);
  const back = timesUs.findIndex((time, i) => i > 0 && time < timesUs[i - 1]!);
  assert.equal(back, -1, `${name}: time goes back at frame ${back}`);
}
