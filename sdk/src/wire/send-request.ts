import { FLAG_BRS, FLAG_ESI, FLAG_FD, type FrameBatch } from "../can/frame-batch.ts";
import { isCanfleetError } from "../errors.ts";
import { encodeCbor, uint } from "./cbor.ts";
import type { MapReader } from "./columns.ts";
import { frameColumns, readFrameColumns } from "./columns.ts";
import { openMap } from "./batch.ts";
import type { EdgeTime } from "./clock-message.ts";

/** What became of one frame of a send request (docs/wire-mqtt.md 2.3). */
export const SEND_CODES = [
  "sent",
  "denied",
  "expired",
  "no-buffer",
  "bus-off",
  "unsupported",
  "failed",
  "duplicate",
] as const;
export type SendCode = (typeof SEND_CODES)[number];

/** Frames in one request at most. */
export const MAX_SEND_FRAMES = 256;
/** Longest time to live, ms. */
export const MAX_TTL_MS = 60_000;
const NONCE_BYTES = 16;
const MAX_BY_LENGTH = 64;
const SEND_FLAGS = FLAG_FD | FLAG_BRS | FLAG_ESI;

export interface SendRequest {
  /** 16 random bytes; the same nonce is not executed twice. */
  nonce: Uint8Array;
  /** ms from `at`, or without it from arrival at the edge. 1–60,000. */
  ttlMs: number;
  /** The edge's own time when the request was sent, as far as the sender knew it. */
  at?: EdgeTime;
  frames: FrameBatch;
  /** Who asks, as a hub with access control knows them; absent where nobody was asked. */
  by?: string;
}

export interface SendReport {
  nonce: Uint8Array;
  /** One for each frame of the request. */
  results: SendCode[];
  /** Kernel time of each echo, µs since 1970 UTC; null where there is none. */
  timestampsUs: (number | null)[];
}

/**
 * Encodes rows `from` up to `to` as a send request.
 *
 * @param by who asks, 1 to 64 characters; the hub alone writes it
 */
export function encodeSendRequest(
  nonce: Uint8Array,
  ttlMs: number,
  frames: FrameBatch,
  from = 0,
  to = frames.count,
  at?: EdgeTime,
  by?: string,
): Uint8Array {
  const sentAt = at ? { clock: at.clock, at: uint(at.atUs) } : {};
  const asked = by === undefined ? {} : { by };
  return encodeCbor({ v: 1, nonce, ttl: ttlMs, ...sentAt, ...frameColumns(frames, from, to, SEND_FLAGS), ...asked });
}

/** @throws CanfleetError `WIRE_BAD_SEND_REQUEST` naming the key that is wrong */
export function decodeSendRequest(bytes: Uint8Array): SendRequest {
  const reader = openMap(bytes, "WIRE_BAD_SEND_REQUEST", "send request");
  const nonce = readNonce(reader);
  const ttlMs = reader.uint("ttl", MAX_TTL_MS);
  if (ttlMs === 0) reader.fail("ttl", `1 to ${MAX_TTL_MS} ms`);
  const frames = readFrameColumns(reader, MAX_SEND_FRAMES, SEND_FLAGS);
  if (frames.count === 0) reader.fail("len", "at least 1 frame long");
  const request: SendRequest = { nonce, ttlMs, frames };
  if (reader.has("at")) request.at = { clock: reader.uint("clock", 0xffffffff), atUs: reader.uint("at") };
  if (reader.has("by")) request.by = readRequester(reader);
  return request;
}

/** The nonce of a send request that is otherwise wrong; undefined when it cannot be read either. */
export function readSendNonce(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return readNonce(openMap(bytes, "WIRE_BAD_SEND_REQUEST", "send request"));
  } catch (error) {
    if (!isCanfleetError(error)) throw error;
    return undefined;
  }
}

export function encodeSendReport(report: SendReport): Uint8Array {
  const times = report.timestampsUs.map((time) => (time === null ? null : uint(time)));
  return encodeCbor({ v: 1, nonce: report.nonce, results: report.results, t: times });
}

/** @throws CanfleetError `WIRE_BAD_SEND_REQUEST` naming the key that is wrong */
export function decodeSendReport(bytes: Uint8Array): SendReport {
  const reader: MapReader = openMap(bytes, "WIRE_BAD_SEND_REQUEST", "send result");
  const results = reader.get("results");
  const times = reader.get("t");
  if (!isArrayOf(results, isSendCode)) reader.fail("results", "an array of results");
  if (!isArrayOf(times, isTime)) reader.fail("t", "an array of times or null");
  if (times.length !== results.length) reader.fail("t", `as long as "results"`);
  return { nonce: readNonce(reader), results, timestampsUs: times };
}

function isArrayOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(isItem);
}

function readNonce(reader: MapReader): Uint8Array {
  const nonce = reader.bytes("nonce");
  if (nonce.length !== NONCE_BYTES) reader.fail("nonce", `${NONCE_BYTES} bytes`);
  return nonce;
}

function readRequester(reader: MapReader): string {
  const by = reader.get("by");
  if (typeof by !== "string" || by === "" || by.length > MAX_BY_LENGTH) {
    return reader.fail("by", `text of 1 to ${MAX_BY_LENGTH} characters`);
  }
  return by;
}

function isSendCode(value: unknown): value is SendCode {
  return SEND_CODES.includes(value as SendCode);
}

function isTime(value: unknown): value is number | null {
  return value === null || typeof value === "number";
}
