import { dlcOfLength, isFdLength, MAX_CLASSIC_LENGTH } from "../can/dlc.ts";
import { FLAG_FD, FrameBatch } from "../can/frame-batch.ts";
import { isRemoteWord, isValidIdWord, MAX_STANDARD_ID } from "../can/id.ts";
import type { ErrorCode } from "../errors.ts";
import { CanfleetError } from "../errors.ts";
import { u8Column, type CborMap } from "./cbor.ts";

export type UnsignedColumn = Uint8Array | Uint16Array | Uint32Array;

/** Reads and checks the parts of one CBOR payload; every error names the key and what was wanted. */
export class MapReader {
  readonly #map: CborMap;
  readonly #code: ErrorCode;
  readonly #what: string;

  /** @param what the payload's name for errors: "batch" */
  constructor(map: CborMap, code: ErrorCode, what: string) {
    this.#map = map;
    this.#code = code;
    this.#what = what;
  }

  fail(key: string, wanted: string): never {
    throw new CanfleetError(this.#code, `${this.#what}: "${key}" must be ${wanted}`);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#map, key);
  }

  get(key: string): unknown {
    return this.has(key) ? this.#map[key] : undefined;
  }

  /** An unsigned integer up to 2^53 − 1. */
  uint(key: string, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.get(key);
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
      this.fail(key, `an unsigned integer up to ${max}`);
    }
    return value;
  }

  bytes(key: string): Uint8Array {
    const value = this.get(key);
    if (!(value instanceof Uint8Array)) this.fail(key, "a byte string");
    return value;
  }

  column(key: string, rows: number): UnsignedColumn {
    const value = this.get(key);
    if (!(value instanceof Uint8Array || value instanceof Uint16Array || value instanceof Uint32Array)) {
      this.fail(key, "a typed array of unsigned integers (RFC 8746 tags 64, 69, 70)");
    }
    if (value.length !== rows) this.fail(key, `as long as "len": ${rows}, not ${value.length}`);
    return value;
  }

  optionalColumn(key: string, rows: number): UnsignedColumn | undefined {
    return this.has(key) ? this.column(key, rows) : undefined;
  }
}

/** The columns that say what each frame is, as the batch and the send request share them. */
export function frameColumns(
  batch: FrameBatch,
  from: number,
  to: number,
  flagMask: number,
): { [key: string]: unknown } {
  let dlcImplied = true;
  let plainIds = true;
  let anyFlag = 0;
  for (let i = from; i < to; i++) {
    if (batch.idWord[i]! > MAX_STANDARD_ID) plainIds = false;
    if (batch.dlc[i]! !== dlcOfLength(batch.length[i]!)) dlcImplied = false;
    anyFlag |= batch.flags[i]! & flagMask;
  }
  const ids = batch.idWord.subarray(from, to);
  const columns: { [key: string]: unknown } = {
    id: plainIds ? Uint16Array.from(ids) : ids.slice(),
    len: u8Column(batch.length.subarray(from, to)),
    data: batch.data.subarray(batch.dataOffset[from], batch.dataOffset[to]),
  };
  if (anyFlag !== 0) columns.flags = u8Column(batch.flags.slice(from, to).map((flags) => flags & flagMask));
  if (!dlcImplied) columns.dlc = u8Column(batch.dlc.subarray(from, to));
  return columns;
}

/**
 * A batch with the frames of these columns, copied; times are left 0.
 *
 * @throws CanfleetError when a column is missing, has another length, or describes frames that cannot be
 */
export function readFrameColumns(reader: MapReader, maxFrames: number, flagMask: number): FrameBatch {
  const lengths = reader.bytes("len");
  const rows = lengths.length;
  if (rows > maxFrames) reader.fail("len", `at most ${maxFrames} frames long`);
  const ids = reader.column("id", rows);
  const data = reader.bytes("data");
  const flags = reader.optionalColumn("flags", rows);
  const dlc = reader.optionalColumn("dlc", rows);
  const batch = new FrameBatch(Math.max(1, rows), data.length);
  let offset = 0;
  for (let i = 0; i < rows; i++) {
    const idWord = ids[i]!;
    const length = lengths[i]!;
    const frameFlags = (flags?.[i] ?? 0) & flagMask;
    const isFd = (frameFlags & FLAG_FD) !== 0;
    if (!isValidIdWord(idWord)) reader.fail("id", `id words of linux/can.h; frame ${i} has 0x${idWord.toString(16)}`);
    checkLength(reader, i, length, isFd, isRemoteWord(idWord));
    batch.idWord[i] = idWord;
    batch.length[i] = length;
    batch.flags[i] = frameFlags;
    batch.dlc[i] = checkDlc(reader, i, dlc?.[i] ?? dlcOfLength(length), length, isFd);
    if (!isRemoteWord(idWord)) offset += length;
    batch.dataOffset[i + 1] = offset;
  }
  if (offset !== data.length) reader.fail("data", `${offset} bytes long, the sum of "len", not ${data.length}`);
  batch.data.set(data);
  batch.count = rows;
  return batch;
}

function checkLength(reader: MapReader, row: number, length: number, isFd: boolean, isRemote: boolean): void {
  if (isFd && isRemote) reader.fail("flags", `without FD on remote frames; frame ${row}`);
  if (isFd ? !isFdLength(length) : length > MAX_CLASSIC_LENGTH) {
    reader.fail("len", `a payload length that the frame can have; frame ${row} has ${length}`);
  }
}

function checkDlc(reader: MapReader, row: number, dlc: number, length: number, isFd: boolean): number {
  const raw = !isFd && length === MAX_CLASSIC_LENGTH && dlc > 8 && dlc <= 15;
  if (!raw && dlc !== dlcOfLength(length)) reader.fail("dlc", `a code that goes with "len"; frame ${row} has ${dlc}`);
  return dlc;
}
