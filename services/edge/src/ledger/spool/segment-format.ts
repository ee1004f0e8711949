import { isBusName, isEdgeName } from "@canfleet/sdk";
import { crc32c } from "./crc32c.ts";

/** The bytes of segments, as docs/spool.md 2 has them. */

export const HEADER_BYTES = 128;
export const RECORD_BYTES = 64;
/** Larger lengths are damage. */
const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;
const VERSION = 1;
const HEADER_MAGIC = 0x50534643;
const RECORD_MAGIC = 0x52534643;
const MAGIC_FIRST_BYTE = 0x43;
const EDGE_NAME_AT = 56;
const BUS_NAME_AT = 89;
const NO_BOOT_ID = "0".repeat(32);

/** Kinds of records. */
export const KIND_BATCH = 1;
export const KIND_GONE = 2;
/** Nothing of this epoch was made or lost behind it. */
export const KIND_END = 3;

/** What tells one segment from all others. */
export interface SegmentId {
  bus: string;
  epoch: number;
  /** From 1 on, over all buses and lives. */
  ordinal: number;
  /** 32 bits. */
  salt: number;
}

export interface SegmentHeader extends SegmentId {
  edge: string;
  /** Number of the first frame. */
  first: number;
  /** Ordinal of the segment before it of this bus and epoch; 0: none. */
  previous: number;
  /** 32 hexadecimal digits; all zeros: unknown. */
  bootId: string;
}

/** What is written in front of a payload. */
export interface RecordHead {
  kind: number;
  epoch: number;
  seq: number;
  /** Every number from here up to `seq` was written before. */
  run: number;
  /** Frames. */
  count: number;
  timeUs: number;
  uptimeMs: number;
}

/** A record that was found whole. */
export interface FoundRecord extends RecordHead {
  /** Where it begins. */
  offset: number;
  /** A view of the bytes that were looked at. */
  payload: Uint8Array;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeName(bytes: Uint8Array, at: number, name: string): void {
  bytes[at] = name.length;
  bytes.set(Buffer.from(name, "latin1"), at + 1);
}

function readName(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at + 1, at + 1 + bytes[at]!)).toString("latin1");
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, HEADER_MAGIC, true);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, HEADER_BYTES, true);
  view.setUint32(12, header.salt, true);
  view.setBigUint64(16, BigInt(header.epoch), true);
  view.setBigUint64(24, BigInt(header.first), true);
  view.setUint32(32, header.ordinal, true);
  view.setUint32(36, header.previous, true);
  bytes.set(Buffer.from(header.bootId, "hex"), 40);
  writeName(bytes, EDGE_NAME_AT, header.edge);
  writeName(bytes, BUS_NAME_AT, header.bus);
  view.setUint32(8, crc32c(bytes, 12), true);
  return bytes;
}

/** @returns undefined when the bytes are no header */
export function decodeHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== HEADER_MAGIC || view.getUint16(4, true) !== VERSION) return undefined;
  if (view.getUint16(6, true) !== HEADER_BYTES || view.getUint32(8, true) !== crc32c(bytes, 12, HEADER_BYTES))
    return undefined;
  const header = {
    salt: view.getUint32(12, true),
    epoch: Number(view.getBigUint64(16, true)),
    first: Number(view.getBigUint64(24, true)),
    ordinal: view.getUint32(32, true),
    previous: view.getUint32(36, true),
    bootId: Buffer.from(bytes.subarray(40, 56)).toString("hex"),
    edge: readName(bytes, EDGE_NAME_AT),
    bus: readName(bytes, BUS_NAME_AT),
  };
  return isBusName(header.bus) && isEdgeName(header.edge) ? header : undefined;
}

/** The file's name for a segment. */
export function segmentFile({ bus, epoch, ordinal, salt }: SegmentId): string {
  return `${bus}@${epoch}-${String(ordinal).padStart(8, "0")}-${salt.toString(16).padStart(8, "0")}.spool`;
}

/** @returns undefined when no segment has such a name */
export function parseSegmentFile(file: string): SegmentId | undefined {
  const match = /^([A-Za-z0-9._-]{1,15})@(\d{1,16})-(\d{8,10})-([0-9a-f]{8})\.spool$/.exec(file);
  if (!match) return undefined;
  return { bus: match[1]!, epoch: Number(match[2]), ordinal: Number(match[3]), salt: parseInt(match[4]!, 16) };
}

/** Boot id as 32 digits, from what the kernel writes. */
export function bootIdDigits(text: string): string {
  const digits = text.replace(/[^0-9a-f]/g, "");
  return digits.length === 32 ? digits : NO_BOOT_ID;
}

/** Whether two boot ids are known and the same. */
export function isSameBoot(a: string, b: string): boolean {
  return a === b && a !== NO_BOOT_ID;
}

/** Writes a record at `at`. @returns the place behind it */
export function encodeRecord(
  bytes: Uint8Array,
  at: number,
  salt: number,
  head: RecordHead,
  payload: Uint8Array,
): number {
  const view = viewOf(bytes);
  view.setUint32(at, RECORD_MAGIC, true);
  view.setUint32(at + 4, payload.length, true);
  view.setUint32(at + 12, head.kind, true);
  view.setBigUint64(at + 16, BigInt(head.epoch), true);
  view.setBigUint64(at + 24, BigInt(head.seq), true);
  view.setBigUint64(at + 32, BigInt(head.run), true);
  view.setUint32(at + 40, head.count, true);
  view.setUint32(at + 44, 0, true);
  view.setBigUint64(at + 48, BigInt(head.timeUs), true);
  view.setBigUint64(at + 56, BigInt(head.uptimeMs), true);
  bytes.set(payload, at + RECORD_BYTES);
  const end = at + RECORD_BYTES + payload.length;
  view.setUint32(at + 8, recordCrc(bytes, at, end, salt), true);
  return end;
}

function recordCrc(bytes: Uint8Array, at: number, end: number, salt: number): number {
  return crc32c(bytes, at + 12, end, crc32c(bytes, at + 4, at + 8, salt));
}

/** The record at `at`; undefined when there is no whole one. */
function recordAt(bytes: Uint8Array, view: DataView, at: number, salt: number): FoundRecord | undefined {
  if (at + RECORD_BYTES > bytes.length || view.getUint32(at, true) !== RECORD_MAGIC) return undefined;
  const length = view.getUint32(at + 4, true);
  const end = at + RECORD_BYTES + length;
  if (length > MAX_PAYLOAD_BYTES || end > bytes.length) return undefined;
  if (recordCrc(bytes, at, end, salt) !== view.getUint32(at + 8, true)) return undefined;
  return {
    offset: at,
    kind: view.getUint32(at + 12, true),
    epoch: Number(view.getBigUint64(at + 16, true)),
    seq: Number(view.getBigUint64(at + 24, true)),
    run: Number(view.getBigUint64(at + 32, true)),
    count: view.getUint32(at + 40, true),
    timeUs: Number(view.getBigUint64(at + 48, true)),
    uptimeMs: Number(view.getBigUint64(at + 56, true)),
    payload: bytes.subarray(at + RECORD_BYTES, end),
  };
}

/** All whole records from `from` on; what is no record is passed over. */
export function* findRecords(bytes: Uint8Array, from: number, salt: number): Generator<FoundRecord, void, undefined> {
  const view = viewOf(bytes);
  let at = from;
  while (at >= 0 && at + RECORD_BYTES <= bytes.length) {
    const record = recordAt(bytes, view, at, salt);
    if (record) {
      yield record;
      at = record.offset + RECORD_BYTES + record.payload.length;
    } else {
      at = bytes.indexOf(MAGIC_FIRST_BYTE, at + 1);
    }
  }
}

/** Numbers of one epoch that are gone. */
export interface EpochRange {
  epoch: number;
  from: number;
  to: number;
}

export function encodeGone(ranges: readonly EpochRange[]): Uint8Array {
  const bytes = new Uint8Array(ranges.length * 24);
  const view = viewOf(bytes);
  ranges.forEach(({ epoch, from, to }, i) => {
    view.setBigUint64(i * 24, BigInt(epoch), true);
    view.setBigUint64(i * 24 + 8, BigInt(from), true);
    view.setBigUint64(i * 24 + 16, BigInt(to), true);
  });
  return bytes;
}

export function decodeGone(bytes: Uint8Array): EpochRange[] {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.length / 24) }, (_, i) => ({
    epoch: Number(view.getBigUint64(i * 24, true)),
    from: Number(view.getBigUint64(i * 24 + 8, true)),
    to: Number(view.getBigUint64(i * 24 + 16, true)),
  }));
}
