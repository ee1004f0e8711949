import { ALL_FLAGS, type FrameBatch, type Losses } from "../can/frame-batch.ts";
import { CanfleetError, messageOf, type ErrorCode } from "../errors.ts";
import { wireNotes, type BatchNotes } from "./batch-notes.ts";
import { decodeCborMap, encodeCbor, u8Column, uint } from "./cbor.ts";
import { frameColumns, MapReader, readFrameColumns, type UnsignedColumn } from "./columns.ts";

/** Largest time step between two frames of one batch, µs: `dt` has at most 32 bits. */
export const MAX_DT_US = 0xffffffff;
/** Frames in a batch that a reader takes at most. */
export const MAX_BATCH_FRAMES = 65_536;

/**
 * Encodes frames `from` up to `to` as one CBOR batch (docs/wire-mqtt.md 2.1).
 *
 * @param notes what the batch says of other frames; readers get it by `readBatchHeader`
 * @throws RangeError when the batch has no frame, no sequence number, or its times go backwards
 */
export function encodeBatch(batch: FrameBatch, from = 0, to = batch.count, notes?: BatchNotes): Uint8Array {
  if (to <= from || batch.seq < 0) throw new RangeError("a batch needs frames and a sequence number");
  const map: { [key: string]: unknown } = {
    v: 1,
    epoch: uint(batch.epoch),
    seq: uint(batch.seq + from),
    t: uint(batch.timestampUs[from]!),
    dt: timeSteps(batch, from, to),
    ...frameColumns(batch, from, to, ALL_FLAGS),
  };
  const ns = batch.timestampNs.subarray(from, to);
  if (ns.some((value) => value !== 0)) map.ns = ns.slice();
  if (batch.unknownFlags !== 0) map.unknown = batch.unknownFlags;
  if (batch.lost && from === 0) map.lost = wireLosses(batch.lost);
  if (notes) Object.assign(map, wireNotes(notes));
  return encodeCbor(map);
}

function wireLosses(lost: Losses): { [place: string]: number | bigint | null } {
  return Object.fromEntries(
    Object.entries(lost).map(([place, frames]) => [place, frames === null ? null : uint(frames)]),
  );
}

function timeSteps(batch: FrameBatch, from: number, to: number): unknown {
  const steps = new Uint32Array(to - from);
  let largest = 0;
  for (let i = from + 1; i < to; i++) {
    const step = batch.timestampUs[i]! - batch.timestampUs[i - 1]!;
    if (!(step >= 0 && step <= MAX_DT_US)) throw new RangeError(`time steps by ${step} µs inside a batch`);
    steps[i - from] = step;
    if (step > largest) largest = step;
  }
  if (largest <= 0xff) return u8Column(Uint8Array.from(steps));
  return largest <= 0xffff ? Uint16Array.from(steps) : steps;
}

/**
 * Decodes a CBOR batch into columns of its own.
 *
 * @throws CanfleetError `WIRE_BAD_BATCH` naming the key that is wrong
 */
export function decodeBatch(bytes: Uint8Array): FrameBatch {
  const reader = openMap(bytes, "WIRE_BAD_BATCH", "batch");
  const batch = readFrameColumns(reader, MAX_BATCH_FRAMES, ALL_FLAGS);
  if (batch.count === 0) reader.fail("len", "at least 1 frame long");
  batch.epoch = reader.uint("epoch");
  batch.seq = reader.uint("seq");
  batch.unknownFlags = reader.has("unknown") ? reader.uint("unknown") & ALL_FLAGS : 0;
  readTimes(reader, batch);
  if (reader.has("lost")) batch.lost = readLosses(reader);
  return batch;
}

/** Reads a map and checks its version. */
export function openMap(bytes: Uint8Array, code: ErrorCode, what: string): MapReader {
  try {
    const reader = new MapReader(decodeCborMap(bytes), code, what);
    if (reader.uint("v") !== 1) reader.fail("v", "1");
    return reader;
  } catch (error) {
    if (error instanceof CanfleetError) throw error;
    throw new CanfleetError(code, `${what}: not CBOR as expected: ${messageOf(error)}`, { cause: error });
  }
}

function readTimes(reader: MapReader, batch: FrameBatch): void {
  const steps: UnsignedColumn = reader.column("dt", batch.count);
  const ns = reader.optionalColumn("ns", batch.count);
  let timeUs = reader.uint("t");
  for (let i = 0; i < batch.count; i++) {
    if (i > 0) timeUs += steps[i]!;
    batch.timestampUs[i] = timeUs;
    const sub = ns?.[i] ?? 0;
    if (sub > 999) reader.fail("ns", `0 to 999; frame ${i} has ${sub}`);
    batch.timestampNs[i] = sub;
  }
}

function readLosses(reader: MapReader): Losses {
  const value = reader.get("lost");
  if (typeof value !== "object" || value === null) reader.fail("lost", "a map");
  const losses: Losses = {};
  for (const [place, frames] of Object.entries(value as { [place: string]: unknown })) {
    if (frames !== null && !(typeof frames === "number" && Number.isInteger(frames) && frames >= 0)) {
      reader.fail("lost", "a map of place to count or null");
    }
    losses[place] = frames;
  }
  return losses;
}
