import { readFileSync } from "node:fs";
import { FrameBatch, type FrameParts, type Losses } from "../can/frame-batch.ts";
import type { RecordSize } from "./record.ts";

type Fields = [field: string, hex: string][];
/** A frame as test/vectors/wire-tcp.json writes it. */
export interface JsonFrame {
  timestampUs?: number;
  ns?: number;
  idWord: string;
  length: number;
  dlc?: number;
  data: string;
  flags?: number;
}
interface RecordVector {
  name: string;
  frame: JsonFrame;
  21: Fields;
  29: Fields;
  13: Fields;
}
/** test/vectors/wire-tcp.json. */
export interface Vectors {
  records: (RecordVector & { fromHost?: boolean })[];
  recordsReadOnly: RecordVector[];
  recordsWriteOnly: RecordVector[];
  implausible: { name: string; size: RecordSize; bytes: Fields }[];
  upgrade: { timestampUs: number; greeting: Fields; accept: Fields; hello: Fields };
  edgeToHost: {
    epoch: number;
    batches: { seq: number; unknownFlags: number; lost: Losses | null; frames: JsonFrame[] }[];
    items: { name: string; bytes: Fields }[];
  };
  edgeControl: {
    name: string;
    clockUs?: number;
    edgeClockUs?: number;
    nextSeq?: number;
    number?: number;
    code?: string;
    timestampUs?: number | null;
    bytes: Fields;
  }[];
  hostToEdge: { name: string; frame: JsonFrame; number: number; ttlMs: number; bytes: Fields }[];
  hostControl: { name: string; clockUs?: number; edgeClockUs?: number; bytes: Fields }[];
  refusedFromHost: { name: string; bytes: Fields }[];
}

/** The golden bytes. */
export const VECTORS = JSON.parse(
  readFileSync(new URL("../../../test/vectors/wire-tcp.json", import.meta.url), "utf8"),
) as Vectors;

/** The labelled parts in a row. */
export function bytesOf(fields: Fields): Uint8Array {
  return Uint8Array.from(Buffer.from(fields.map(([, hex]) => hex).join(""), "hex"));
}

/** A frame of the vectors as a batch takes it. */
export function partsOf(frame: JsonFrame): FrameParts {
  return {
    timestampUs: frame.timestampUs ?? 0,
    idWord: parseInt(frame.idWord, 16),
    data: Uint8Array.from(Buffer.from(frame.data, "hex")),
    length: frame.length,
    flags: frame.flags ?? 0,
    ...(frame.dlc === undefined ? {} : { dlc: frame.dlc }),
  };
}

/** Frames of the vectors, with their nanoseconds. */
export function batchOf(frames: JsonFrame[]): FrameBatch {
  const batch = FrameBatch.of(...frames.map(partsOf));
  frames.forEach((frame, i) => (batch.timestampNs[i] = frame.ns ?? 0));
  return batch;
}

/** The rows of a batch as plain values, for comparison. */
export function rowsOf(batch: FrameBatch): object[] {
  return Array.from({ length: batch.count }, (_, i) => ({
    timestampUs: batch.timestampUs[i],
    ns: batch.timestampNs[i],
    idWord: batch.idWord[i],
    length: batch.length[i],
    dlc: batch.dlc[i],
    flags: batch.flags[i],
    data: Buffer.from(batch.payload(i)).toString("hex"),
  }));
}
