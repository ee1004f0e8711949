/**
 * The payloads of `ping` and `pong` (docs/wire-mqtt.md, 3.6).
 */

/** What an edge says of its clocks twice a second. */
export interface ClockPing {
  /** Names this run of the edge: its monotonic clock began with it. 0 to 2^32 - 1. */
  clock: number;
  /** The edge's monotonic clock, whole µs. */
  at: number;
}

/** What the hub answers. */
export interface ClockPong extends ClockPing {
  /** The hub's wall clock when the ping came, µs since 1970 UTC. */
  hub: number;
}

/** An edge's own clock at some moment: what a send request says of its age. */
export interface EdgeTime {
  /** The run of the edge whose clock it is. 0 to 2^32 - 1. */
  clock: number;
  /** The edge's monotonic clock, whole µs, never later than it was. */
  atUs: number;
}

/** Longest payload that is looked at, bytes: it comes from a peer. */
const MAX_BYTES = 256;

export function encodeClockMessage(message: ClockPing | ClockPong): string {
  return JSON.stringify(message);
}

/** @returns undefined when the payload is not as documented */
export function decodePing(payload: Uint8Array): ClockPing | undefined {
  const fields = readFields(payload);
  const clock = numberIn(fields?.clock, 0xffffffff);
  const at = numberIn(fields?.at, Number.MAX_SAFE_INTEGER);
  return clock === undefined || at === undefined ? undefined : { clock, at };
}

/** @returns undefined when the payload is not as documented */
export function decodePong(payload: Uint8Array): ClockPong | undefined {
  const ping = decodePing(payload);
  const hub = numberIn(readFields(payload)?.hub, Number.MAX_SAFE_INTEGER);
  return ping === undefined || hub === undefined ? undefined : { ...ping, hub };
}

function readFields(payload: Uint8Array): { [key: string]: unknown } | undefined {
  if (payload.length > MAX_BYTES) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload));
    return typeof value === "object" && value !== null ? (value as { [key: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}

function numberIn(value: unknown, max: number): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max ? value : undefined;
}
