/** docs/wire-mqtt.md 3.1 */
export interface EdgeState {
  online: boolean;
  /** Tells the connections of an edge apart: greater is later. */
  session: number;
  /** µs since 1970 UTC at which the edge said so. */
  timestampUs: number | undefined;
}

/** docs/wire-mqtt.md 3.2, as far as the command line needs it. */
export interface EdgeInfo {
  version: string | undefined;
  host: string | undefined;
  clock: string | undefined;
  /** By bus: who may send, in the edge's words. */
  buses: Map<string, { send: string | undefined; driver: string | undefined }>;
}

/** docs/wire-mqtt.md 3.3; undefined is not known. */
export interface BusStatus {
  timestampUs: number | undefined;
  state: string | undefined;
  reason: string | undefined;
  busState: string | undefined;
  bitrate: number | undefined;
  loadPercent: number | undefined;
  framesPerSecond: number | undefined;
  driver: string | undefined;
  /** Frames lost by place; null: not known. */
  lost: Map<string, number | null>;
  /** The edge's wall clock less the hub's, µs. */
  clockOffsetUs: number | undefined;
  /** How often somebody has set the edge's clock since it was started. */
  clockSteps: number | undefined;
  /** undefined: the edge has none. */
  spool: SpoolStatus | undefined;
}

/** What `status` says of the spool. */
export interface SpoolStatus {
  state: string;
  /** On disk, of this bus. */
  bytes: number;
  /** Frames that wait for the hub. */
  frames: number;
  dropping: boolean;
}

type Json = { readonly [key: string]: unknown };

/** The payload of `state`; undefined when it is not as documented. */
export function readState(text: string): EdgeState | undefined {
  const json = parseObject(text);
  if (json?.state !== "online" && json?.state !== "offline") return undefined;
  return { online: json.state === "online", session: numberOf(json.session) ?? 0, timestampUs: numberOf(json.t) };
}

/** The payload of `info`; undefined when it is not as documented. */
export function readInfo(text: string): EdgeInfo | undefined {
  const json = parseObject(text);
  if (!json) return undefined;
  const buses: EdgeInfo["buses"] = new Map();
  for (const [name, about] of Object.entries(objectOf(json.buses) ?? {})) {
    const bus = objectOf(about);
    if (bus) buses.set(name, { send: textOf(bus.send), driver: textOf(bus.driver) });
  }
  return { version: textOf(json.version), host: textOf(json.host), clock: textOf(json.clock), buses };
}

/** The payload of `status`; undefined when it is not as documented. */
export function readStatus(text: string): BusStatus | undefined {
  const json = parseObject(text);
  if (!json) return undefined;
  const lost: BusStatus["lost"] = new Map();
  for (const [place, frames] of Object.entries(objectOf(json.lost) ?? {})) {
    lost.set(place, frames === null ? null : (numberOf(frames) ?? null));
  }
  const clock = objectOf(json.clock);
  return {
    timestampUs: numberOf(json.t),
    state: textOf(json.state),
    reason: textOf(json.reason),
    busState: textOf(json.busState),
    bitrate: numberOf(json.bitrate),
    loadPercent: numberOf(json.loadPercent),
    framesPerSecond: numberOf(json.framesPerSecond),
    driver: textOf(json.driver),
    lost,
    clockOffsetUs: numberOf(clock?.offsetUs),
    clockSteps: numberOf(clock?.steps),
    spool: readSpool(json.spool),
  };
}

function readSpool(value: unknown): SpoolStatus | undefined {
  const spool = objectOf(value);
  const state = textOf(spool?.state);
  if (!spool || state === undefined) return undefined;
  const { bytes, frames, dropping } = spool;
  return { state, bytes: numberOf(bytes) ?? 0, frames: numberOf(frames) ?? 0, dropping: dropping === true };
}

function parseObject(text: string): Json | undefined {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** Control characters from a stranger could move the cursor of the terminal that shows them. */
function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ").slice(0, 200) : undefined;
}
