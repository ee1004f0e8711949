import { CanfleetError } from "../errors.ts";
import type { Range } from "./range-set.ts";
import { decodeCborMap, encodeCbor, uint } from "./cbor.ts";
import { assertBusName } from "./topics.ts";

/** What the hub has taken of one epoch of a bus. */
export interface Taken {
  epoch: number;
  /** Sequence numbers, ascending. */
  ranges: readonly Range[];
}

/** The hub's acknowledgement (docs/wire-mqtt.md 2.4), by bus. */
export type Ack = ReadonlyMap<string, readonly Taken[]>;

/** Ranges of one epoch in one acknowledgement at most. */
export const MAX_ACK_RANGES = 256;
/** Buses in one acknowledgement at most. */
export const MAX_ACK_BUSES = 64;

/** Encodes an acknowledgement. */
export function encodeAck(ack: Ack): Uint8Array {
  const buses = [...ack].map(([bus, taken]) => [
    bus,
    taken.map(({ epoch, ranges }) => [uint(epoch), ranges.flatMap(([from, to]) => [uint(from), uint(to)])]),
  ]);
  return encodeCbor({ v: 1, buses: Object.fromEntries(buses) as object });
}

/**
 * Decodes and checks an acknowledgement.
 *
 * @throws CanfleetError `WIRE_BAD_BATCH` when it is not as docs/wire-mqtt.md says
 */
export function decodeAck(bytes: Uint8Array): Ack {
  try {
    const { v, buses } = decodeCborMap(bytes);
    if (v !== 1 || typeof buses !== "object" || buses === null) throw new Error('needs "v" 1 and "buses"');
    const entries = Object.entries(buses as { [bus: string]: unknown });
    if (entries.length > MAX_ACK_BUSES) throw new Error("too many buses");
    return new Map(
      entries.map(([bus, taken]) => {
        assertBusName(bus);
        return [bus, readTaken(taken)];
      }),
    );
  } catch (error) {
    throw new CanfleetError("WIRE_BAD_BATCH", "acknowledgement: not as expected", { cause: error });
  }
}

function readTaken(value: unknown): Taken[] {
  if (!Array.isArray(value)) throw new Error("a bus must have an array of epochs");
  return value.map((item: unknown) => {
    if (!Array.isArray(item) || item.length !== 2) throw new Error("an epoch must be an array of 2");
    const [epoch, ends] = item as unknown[];
    return { epoch: wholeNumber(epoch), ranges: readRanges(ends) };
  });
}

function readRanges(value: unknown): Range[] {
  if (!Array.isArray(value) || value.length % 2 !== 0) throw new Error("ranges must be pairs");
  const ranges: Range[] = [];
  let before = -1;
  for (let i = 0; i < value.length; i += 2) {
    const from = wholeNumber(value[i]);
    const to = wholeNumber(value[i + 1]);
    if (from <= before || to <= from) throw new Error("ranges must ascend");
    ranges.push([from, to]);
    before = to;
  }
  return ranges;
}

function wholeNumber(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new Error("expected a whole number");
  return value;
}
