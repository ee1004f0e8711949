import { parseFilters } from "../can/filter.ts";
import { FrameBatch } from "../can/frame-batch.ts";
import { isErrorWord } from "../can/id.ts";
import { messageOf } from "../errors.ts";
import { formatFrame, parseFrame } from "../text/frame-notation.ts";
import { parseObject, type JsonObject as Fields } from "./json-object.ts";

/** Shortest and longest lease, ms, and what holds where none is named. */
export const MIN_LEASE_MS = 1_000;
export const MAX_LEASE_MS = 3_600_000;
export const DEFAULT_LEASE_MS = 10_000;
/** Shortest and longest period of a periodic send, ms. */
export const MIN_PERIOD_MS = 1;
export const MAX_PERIOD_MS = 3_600_000;
/** Longest request, bytes. */
export const MAX_CONTROL_BYTES = 16_384;
const MAX_NAME_LENGTH = 64;
const MAX_CONTROL_FILTERS = 256;

/** Why an edge did not do what it was asked (docs/wire-mqtt.md 3.5). */
export const CONTROL_CODES = [
  "bad-request",
  "unknown-op",
  "off",
  "denied",
  "too-many",
  "no-such-task",
  "unsupported",
  "failed",
] as const;
export type ControlCode = (typeof CONTROL_CODES)[number];

/** Whose a change is, and how long it lasts: `leaseMs`, 1,000–3,600,000; undefined: until the edge restarts. */
export interface Tenure {
  by: string;
  leaseMs: number | undefined;
}

/** A request to an edge about one bus. Filters are in candump's notation and were checked, as all fields were. */
export type ControlRequest = { id: string } & (
  | { op: "get" }
  | ({ op: "filters"; filters: string } & Tenure)
  | ({ op: "latest"; hz: number | null } & Tenure)
  | ({ op: "urgent"; ids: string } & Tenure)
  | ({ op: "periodic"; task: string; frame: FrameBatch; periodMs: number } & Tenure)
  | { op: "stop"; task: string }
  | { op: "renew"; by: string }
  | { op: "release"; by: string }
);
export type ControlOp = ControlRequest["op"];

/** A request that cannot be executed, with what to answer. */
export interface ControlProblem {
  id: string;
  op: string;
  code: ControlCode;
  error: string;
}

/** A request as it was read. "unanswerable": it has no `id` to answer to. "other": it is not about control. */
export type ReadControlRequest =
  | { kind: "request"; request: ControlRequest }
  | { kind: "problem"; problem: ControlProblem }
  | { kind: "unanswerable" }
  | { kind: "other" };

/** Reads a message on a `request` topic; never throws, whatever the bytes are. */
export function readControlRequest(bytes: Uint8Array): ReadControlRequest {
  const fields = bytes.length > MAX_CONTROL_BYTES ? undefined : parseObject(bytes);
  if (fields?.op === "backfill") return { kind: "other" };
  if (!fields || !isName(fields.id)) return { kind: "unanswerable" };
  const { id } = fields;
  const op = isName(fields.op) ? fields.op : "";
  try {
    const request = readOp(id, op, fields);
    if (request) return { kind: "request", request };
    return { kind: "problem", problem: { id, op, code: "unknown-op", error: `this edge knows no op ${quoted(op)}` } };
  } catch (error) {
    return { kind: "problem", problem: { id, op, code: "bad-request", error: messageOf(error) } };
  }
}

function readOp(id: string, op: string, fields: Fields): ControlRequest | undefined {
  switch (op) {
    case "get":
      return { id, op };
    case "filters":
      return { id, op, filters: filterText(fields, "filters"), ...tenure(id, fields) };
    case "latest":
      return { id, op, hz: fields.hz === null ? null : numberIn(fields, "hz", 0.1, 1000), ...tenure(id, fields) };
    case "urgent":
      return { id, op, ids: filterText(fields, "ids"), ...tenure(id, fields) };
    case "periodic": {
      const periodMs = numberIn(fields, "periodMs", MIN_PERIOD_MS, MAX_PERIOD_MS);
      return { id, op, task: nameOf(fields, "task"), frame: frameOf(fields), periodMs, ...tenure(id, fields) };
    }
    case "stop":
      return { id, op, task: nameOf(fields, "task") };
    case "renew":
    case "release":
      return { id, op, by: nameOf(fields, "by") };
    default:
      return undefined;
  }
}

function tenure(id: string, fields: Fields): Tenure {
  const by = fields.by === undefined ? id : nameOf(fields, "by");
  if (fields.stay !== undefined && typeof fields.stay !== "boolean")
    throw new TypeError(`"stay": expected true or false, got ${quoted(fields.stay)}`);
  if (fields.stay === true) {
    if (fields.leaseMs !== undefined) throw new TypeError('either "leaseMs" or "stay", not both');
    return { by, leaseMs: undefined };
  }
  if (fields.leaseMs === undefined) return { by, leaseMs: DEFAULT_LEASE_MS };
  return { by, leaseMs: numberIn(fields, "leaseMs", MIN_LEASE_MS, MAX_LEASE_MS) };
}

function filterText(fields: Fields, key: string): string {
  const text = fields[key];
  if (typeof text !== "string") throw new TypeError(`"${key}": expected filters as text, got ${quoted(text)}`);
  const count = prefixed(key, () => parseFilters(text)).length;
  if (count > MAX_CONTROL_FILTERS) throw new RangeError(`"${key}": at most ${MAX_CONTROL_FILTERS}, got ${count}`);
  return text;
}

function frameOf(fields: Fields): FrameBatch {
  const text = fields.frame;
  if (typeof text !== "string") throw new TypeError(`"frame": expected a frame as text, got ${quoted(text)}`);
  const frame = prefixed("frame", () => FrameBatch.of(parseFrame(text)));
  if (isErrorWord(frame.idWord[0]!)) throw new RangeError('"frame": an error frame is the kernel\'s to make');
  return frame;
}

function prefixed<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new RangeError(`"${key}": ${messageOf(error)}`, { cause: error });
  }
}

function numberIn(fields: Fields, key: string, least: number, most: number): number {
  const value = fields[key];
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new RangeError(`"${key}": expected a number from ${least} to ${most}, got ${quoted(value)}`);
}

function nameOf(fields: Fields, key: string): string {
  const value = fields[key];
  if (isName(value)) return value;
  throw new RangeError(`"${key}": expected a text of 1 to ${MAX_NAME_LENGTH} characters, got ${quoted(value)}`);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_NAME_LENGTH;
}

/** A value of a stranger in a sentence: what it is, at no more than a few characters. */
function quoted(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** Writes a request; `readControlRequest` gives it back. */
export function encodeControlRequest(request: ControlRequest): string {
  if (!("leaseMs" in request)) return JSON.stringify(request);
  const { leaseMs, ...fields } = request;
  const lease = leaseMs === undefined ? { stay: true } : { leaseMs };
  const frame = fields.op === "periodic" ? { frame: formatFrame(fields.frame, 0) } : {};
  return JSON.stringify({ ...fields, ...frame, ...lease });
}
