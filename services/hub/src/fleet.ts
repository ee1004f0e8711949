import { parseTopic } from "@canfleet/sdk";
import { isJsonObject, numberField, objectField, parseJsonObject, textField, type JsonObject } from "./json-fields.ts";

/** One bus as `/api/fleet` shows it; null where nobody knows. Counters are the edge's, from the start of its epoch. */
export interface BusView {
  bus: string;
  /** "up", "down" or "gone". */
  state: string | null;
  /** The edge's reason for the state. */
  reason: string | null;
  /** "error-active", "error-warning", "error-passive" or "bus-off". */
  busState: string | null;
  driver: string | null;
  /** Who may send: "none", "link", "all" or a list of ids. */
  send: string | null;
  /** bit/s */
  bitrate: number | null;
  loadPercent: number | null;
  framesPerSecond: number | null;
  frames: { received: number | null; sent: number | null };
  /** Frames lost by place. */
  lost: { [place: string]: number | null };
  epoch: number | null;
  seq: number | null;
  /** The edge's wall clock: what it is ahead of the hub's, µs, and how often somebody has set it. */
  clock: { offsetUs: number | null; steps: number | null };
  /** What lies on the edge's disk of this bus; null where the edge has no spool. */
  spool: SpoolView | null;
  /** Since the last status arrived at the hub, ms; null when there was none since the hub connected. */
  ageMs: number | null;
}

/** A spool as its edge describes it (docs/wire-mqtt.md 3.3). */
export interface SpoolView {
  /** "starting", "ok" or "failed". */
  state: string;
  reason: string | null;
  bytes: number | null;
  /** Frames that wait for a hub. */
  frames: number | null;
  dropping: boolean;
}

export interface EdgeView {
  edge: string;
  state: "online" | "offline" | "unknown";
  version: string | null;
  host: string | null;
  buses: BusView[];
}

export interface FleetLimits {
  /** Default 10,000. */
  maxEdges: number;
  /** Buses of one edge. Default 64. */
  maxBuses: number;
  /** Bytes of one payload. Default 64 KiB. */
  maxPayloadBytes: number;
}

const DEFAULT_FLEET_LIMITS: FleetLimits = { maxEdges: 10_000, maxBuses: 64, maxPayloadBytes: 64 * 1024 };
/** Places of loss that are kept from one status. */
const MAX_PLACES = 16;

type Bus = Omit<BusView, "ageMs" | "send"> & { receivedAtMs: number | undefined };

interface Edge {
  edge: string;
  state: EdgeView["state"];
  session: number;
  version: string | null;
  host: string | null;
  /** What may be sent, by bus. */
  send: Map<string, string>;
  buses: Map<string, Bus>;
}

/** What is known of all edges and buses, from their retained topics. Bounded, whatever strangers publish. */
export class Fleet {
  /** Messages that were not believed: not JSON objects, too large, or beyond a bound. */
  refusedMessages = 0;
  readonly #base: string;
  readonly #limits: FleetLimits;
  readonly #edges = new Map<string, Edge>();

  constructor(base: string, limits: Partial<FleetLimits> = {}) {
    this.#base = base;
    this.#limits = { ...DEFAULT_FLEET_LIMITS, ...limits };
  }

  /** Takes one message of `+/state`, `+/info` or `+/+/status`; an empty payload means that the topic was cleared. */
  apply(topic: string, payload: Uint8Array, retained: boolean, nowMs: number): void {
    const parsed = parseTopic(this.#base, topic);
    if (!parsed) return;
    if (payload.length === 0) {
      this.#forget(parsed.edge, parsed.bus, parsed.leaf);
      return;
    }
    const json = payload.length <= this.#limits.maxPayloadBytes ? parseJsonObject(payload) : undefined;
    const edge = json && this.#edge(parsed.edge);
    if (!edge) {
      this.refusedMessages++;
      return;
    }
    if (parsed.leaf === "state") applyState(edge, json);
    else if (parsed.leaf === "info") this.#applyInfo(edge, json);
    else if (parsed.leaf === "status") this.#applyStatus(edge, parsed.bus, json, retained ? undefined : nowMs);
  }

  #edge(name: string): Edge | undefined {
    const known = this.#edges.get(name);
    if (known) return known;
    if (this.#edges.size >= this.#limits.maxEdges) return undefined;
    const edge: Edge = {
      edge: name,
      state: "unknown",
      session: 0,
      version: null,
      host: null,
      send: new Map(),
      buses: new Map(),
    };
    this.#edges.set(name, edge);
    return edge;
  }

  #forget(name: string, bus: string | undefined, leaf: string): void {
    if (bus === undefined) {
      if (leaf === "state") this.#edges.delete(name);
    } else {
      this.#edges.get(name)?.buses.delete(bus);
    }
  }

  #applyInfo(edge: Edge, json: JsonObject): void {
    edge.version = textField(json, "version");
    edge.host = textField(json, "host");
    edge.send.clear();
    for (const [bus, description] of Object.entries(objectField(json, "buses")).slice(0, this.#limits.maxBuses)) {
      const send = isJsonObject(description) ? textField(description, "send") : null;
      if (send !== null) edge.send.set(bus, send);
    }
  }

  #applyStatus(edge: Edge, bus: string, json: JsonObject, receivedAtMs: number | undefined): void {
    const known = edge.buses.has(bus);
    if (!known && edge.buses.size >= this.#limits.maxBuses) {
      this.refusedMessages++;
      return;
    }
    edge.buses.set(bus, readStatus(bus, json, receivedAtMs));
  }

  /** All edges by name. */
  edges(nowMs: number): EdgeView[] {
    const edges = [...this.#edges.values()].map((edge) => viewOf(edge, nowMs));
    return edges.sort((a, b) => (a.edge < b.edge ? -1 : 1));
  }
}

function applyState(edge: Edge, json: JsonObject): void {
  const state = json.state;
  if (state !== "online" && state !== "offline") return;
  const session = numberField(json, "session") ?? 0;
  // The will of a connection that a newer one has replaced (docs/wire-mqtt.md 3.1).
  if (state === "offline" && session < edge.session) return;
  edge.state = state;
  edge.session = session;
}

function readStatus(bus: string, json: JsonObject, receivedAtMs: number | undefined): Bus {
  const frames = objectField(json, "frames");
  const lost = objectField(json, "lost");
  const clock = objectField(json, "clock");
  return {
    bus,
    state: textField(json, "state"),
    reason: textField(json, "reason", 300),
    busState: textField(json, "busState"),
    driver: textField(json, "driver"),
    bitrate: numberField(json, "bitrate"),
    loadPercent: numberField(json, "loadPercent"),
    framesPerSecond: numberField(json, "framesPerSecond"),
    frames: { received: numberField(frames, "received"), sent: numberField(frames, "sent") },
    lost: Object.fromEntries(
      Object.keys(lost)
        .slice(0, MAX_PLACES)
        .map((place) => [place.slice(0, 32), numberField(lost, place)]),
    ),
    epoch: numberField(json, "epoch"),
    seq: numberField(json, "seq"),
    clock: { offsetUs: numberField(clock, "offsetUs"), steps: numberField(clock, "steps") },
    spool: isJsonObject(json.spool) ? readSpool(json.spool) : null,
    receivedAtMs,
  };
}

function readSpool(json: JsonObject): SpoolView | null {
  const state = textField(json, "state");
  if (state === null) return null;
  return {
    state,
    reason: textField(json, "reason", 300),
    bytes: numberField(json, "bytes"),
    frames: numberField(json, "frames"),
    dropping: json.dropping === true,
  };
}

function viewOf({ edge, state, version, host, send, buses }: Edge, nowMs: number): EdgeView {
  const views = [...buses.values()].map(({ receivedAtMs, ...bus }) => ({
    ...bus,
    send: send.get(bus.bus) ?? null,
    ageMs: receivedAtMs === undefined ? null : Math.max(0, Math.round(nowMs - receivedAtMs)),
  }));
  return { edge, state, version, host, buses: views.sort((a, b) => (a.bus < b.bus ? -1 : 1)) };
}
