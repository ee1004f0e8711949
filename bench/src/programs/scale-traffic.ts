/** What one bus of a simulated fleet says: the wire's own batches, ready but for number and times. */
import { decodeBatch, encodeBatch, type FrameBatch } from "@canfleet/sdk";
import { periodicTraffic } from "../traffic.ts";

export interface Pace {
  framesPerSecond: number;
  /** Age at which an edge closes a batch, ms. */
  batchMs: number;
}

/** An encoded batch into which number and time can be written. */
export interface Template {
  bytes: Buffer;
  frames: number;
  /** From the first frame's time to the last's, µs. */
  spanUs: number;
  seqAt: number;
  timeAt: number;
}

/** First number of a bus; has the width on the wire that all numbers of a run have. */
export const FIRST_SEQ = 0x4000_0001;
const TIME_US = 0x0006_1234_5678_9abc;
const TEMPLATES = 16;

/** Batches whose lengths differ by up to a quarter around the pace, as those of a bus with periodic messages do. */
export function makeTemplates({ framesPerSecond, batchMs }: Pace, epoch: number): Template[] {
  const mean = (framesPerSecond * batchMs) / 1000;
  const traffic = periodicTraffic(Math.ceil(mean * TEMPLATES), { extended: false });
  const templates: Template[] = [];
  for (let n = 0; n < TEMPLATES; n++) {
    const swing = (n % 2 === 0 ? 1 : -1) * Math.round(mean / 4);
    const frames = Math.max(1, Math.round(mean) + swing);
    templates.push(makeTemplate(traffic, Math.min(n * Math.round(mean), traffic.count - frames), frames, epoch));
  }
  return templates;
}

function makeTemplate(traffic: FrameBatch, from: number, frames: number, epoch: number): Template {
  const offsetUs = TIME_US - traffic.timestampUs[from]!;
  for (let i = 0; i < traffic.count; i++) traffic.timestampUs[i]! += offsetUs;
  Object.assign(traffic, { epoch, seq: FIRST_SEQ - from });
  const bytes = Buffer.from(encodeBatch(traffic, from, from + frames));
  const spanUs = traffic.timestampUs[from + frames - 1]! - TIME_US;
  return {
    bytes,
    frames,
    spanUs,
    seqAt: placeOf(bytes, 4, BigInt(FIRST_SEQ)),
    timeAt: placeOf(bytes, 8, BigInt(TIME_US)),
  };
}

function placeOf(bytes: Buffer, width: 4 | 8, value: bigint): number {
  const wanted = Buffer.alloc(8);
  wanted.writeBigUInt64BE(value);
  const at = bytes.indexOf(wanted.subarray(8 - width));
  if (at < 0) throw new Error("a batch without its number or time");
  return at;
}

/** One batch as it goes out now: its last frame is of this moment. */
export function fill({ bytes, spanUs, seqAt, timeAt }: Template, seq: number, nowUs: number): Buffer {
  const batch = Buffer.from(bytes);
  batch.writeUInt32BE(seq, seqAt);
  batch.writeBigUInt64BE(BigInt(nowUs - spanUs), timeAt);
  return batch;
}

/** The last frame's time, µs. */
export function lastFrameUs(payload: Uint8Array): number {
  const batch = decodeBatch(payload);
  return batch.timestampUs[batch.count - 1]!;
}

/** This machine's wall clock with a resolution of µs, the same in all processes. */
export function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
