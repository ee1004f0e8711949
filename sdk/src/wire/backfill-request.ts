import { CanfleetError } from "../errors.ts";
import { MAX_GONE_RANGES, type GoneRange } from "./batch-notes.ts";

/** Asks an edge to publish frames again on `backfill` (docs/wire-mqtt.md 3.5). */
export interface BackfillRequest {
  /** Chosen by who asks; the answer carries it. 1 to 64 characters. */
  id: string;
  epoch: number;
  /** First number. */
  from: number;
  /** One above the last number. */
  to: number;
}

/** The edge's answer, after the frames that it still had. */
export interface BackfillResponse {
  id: string;
  /** What was asked for and is not there any more. */
  gone: GoneRange[];
  /** Why nothing was done; undefined when it was. */
  error?: string;
}

const MAX_ID_LENGTH = 64;

export function encodeBackfillRequest(request: BackfillRequest): string {
  const { id, epoch, from, to } = request;
  return JSON.stringify({ id, op: "backfill", epoch, from, to });
}

/**
 * Reads a request for backfill; undefined when it is a request of another kind.
 *
 * @throws CanfleetError `WIRE_BAD_BATCH` when it is a backfill request that cannot be
 */
export function decodeBackfillRequest(bytes: Uint8Array): BackfillRequest | undefined {
  const value = parse(bytes);
  if (value?.op !== "backfill") return undefined;
  const { id, epoch, from, to } = value;
  if (!isId(id) || !isCount(epoch) || !isCount(from) || !isCount(to) || to <= from) {
    throw new CanfleetError("WIRE_BAD_BATCH", 'backfill request: needs "id", "epoch", "from" and a larger "to"');
  }
  return { id, epoch, from, to };
}

export function encodeBackfillResponse({ id, gone, error }: BackfillResponse): string {
  const ranges = gone.map(({ epoch, from, to, place }) => [epoch, from, to, place]);
  return JSON.stringify({ id, op: "backfill", ok: error === undefined, gone: ranges, error });
}

/** Reads an answer; undefined when it answers something else, or is none. */
export function decodeBackfillResponse(bytes: Uint8Array): BackfillResponse | undefined {
  const value = parse(bytes);
  if (value?.op !== "backfill" || !isId(value.id)) return undefined;
  const ranges = Array.isArray(value.gone) ? (value.gone as unknown[]).slice(0, MAX_GONE_RANGES) : [];
  const gone = ranges.map(readRange).filter((range) => range !== undefined);
  return { id: value.id, gone, ...(typeof value.error === "string" ? { error: value.error } : {}) };
}

function readRange(value: unknown): GoneRange | undefined {
  const [epoch, from, to, place] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!isCount(epoch) || !isCount(from) || !isCount(to) || to <= from || typeof place !== "string") return undefined;
  return { epoch, from, to, place };
}

function parse(bytes: Uint8Array): { [key: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? (value as { [key: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_ID_LENGTH;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
