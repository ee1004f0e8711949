import { LOSS_PLACES } from "@canfleet/sdk";
import type { BrokerCounts } from "./broker.ts";
import type { BusView, EdgeView } from "./fleet.ts";
import type { ProcessMetrics } from "./process-metrics.ts";
import type { UpstreamCounts } from "./upstream.ts";

type Labels = { [name: string]: string };

/** Writes Prometheus' text exposition format 0.0.4. */
class Exposition {
  #text = "";

  family(name: string, type: "counter" | "gauge", help: string): (value: number | null, labels?: Labels) => void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    return (value, labels = {}) => {
      // What is not known is left out: 0 would be a claim.
      if (value !== null) this.#text += `${name}${formatLabels(labels)} ${value}\n`;
    };
  }

  toString(): string {
    return this.#text;
  }
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

export interface MetricsSource {
  version: string;
  process: ProcessMetrics;
  isReady: boolean;
  /** Frames that were taken, and messages on frame topics that were not batches. */
  takenFrames: number;
  badBatches: number;
  /** Undefined with an external broker. */
  broker: BrokerCounts | undefined;
  /** Connections of all listeners that were cut or not let in, by reason. */
  cuts: { readonly [reason: string]: number };
  brokerConnected: boolean;
  /** Undefined without a hub above. */
  upstream?: { isConnected: boolean; counts: UpstreamCounts } | undefined;
  edges: EdgeView[];
}

/** The page at `/metrics`. Drops are a total: by client they are at `/api/clients`, where any client id may appear. */
export function renderMetrics(source: MetricsSource): string {
  const { version, broker, cuts, brokerConnected, upstream, edges } = source;
  const out = new Exposition();
  out.family("canfleet_hub_info", "gauge", "The hub's version.")(1, { version });
  out.family("canfleet_hub_ready", "gauge", "Whether edges and clients may come.")(source.isReady ? 1 : 0);
  out.family(
    "canfleet_hub_broker_up",
    "gauge",
    "Whether the hub's own client is connected to the broker.",
  )(brokerConnected ? 1 : 0);
  const cut = out.family("canfleet_hub_cut_connections_total", "counter", "Connections cut or not let in.");
  for (const [reason, count] of Object.entries(cuts)) cut(count, { reason });
  out.family("canfleet_hub_taken_frames_total", "counter", "Frames taken and acknowledged.")(source.takenFrames);
  out.family(
    "canfleet_hub_bad_batches_total",
    "counter",
    "Messages on frame topics that were not batches.",
  )(source.badBatches);
  if (broker) addBroker(out, broker);
  if (upstream) addUpstream(out, upstream);
  addFleet(out, edges);
  addProcess(out, source.process);
  return out.toString();
}

/** Under the names that Prometheus' own client libraries use. */
function addProcess(out: Exposition, cost: ProcessMetrics): void {
  out.family("process_cpu_seconds_total", "counter", "CPU time of the hub, user and system.")(cost.cpuSeconds);
  out.family("process_resident_memory_bytes", "gauge", "Memory of the hub.")(cost.residentBytes);
  out.family("process_start_time_seconds", "gauge", "When the hub started, since 1970.")(cost.startedAtSeconds);
  out.family("nodejs_heap_size_used_bytes", "gauge", "JavaScript heap in use.")(cost.heapBytes);
  out.family(
    "nodejs_eventloop_lag_p99_seconds",
    "gauge",
    "How late the event loop was, 99th percentile since the last reading.",
  )(cost.eventLoopLagSeconds);
}

function addUpstream(out: Exposition, { isConnected, counts }: NonNullable<MetricsSource["upstream"]>): void {
  out.family("canfleet_hub_upstream_up", "gauge", "Whether the hub above can be talked to.")(isConnected ? 1 : 0);
  const forwarded = out.family("canfleet_hub_upstream_messages_total", "counter", "Messages forwarded, by direction.");
  forwarded(counts.up, { direction: "up" });
  forwarded(counts.down, { direction: "down" });
  out.family("canfleet_hub_upstream_dropped_total", "counter", "Messages not forwarded.")(counts.dropped);
}

function addBroker(out: Exposition, counts: BrokerCounts): void {
  out.family("canfleet_hub_connections", "gauge", "MQTT connections, TCP and WebSocket.")(counts.connections);
  out.family("canfleet_hub_connections_limit", "gauge", "How many connections there may be.")(counts.connectionsLimit);
  out.family("canfleet_hub_queued_bytes", "gauge", "Bytes that wait for subscribers.")(counts.queuedBytes);
  out.family("canfleet_hub_retained_messages", "gauge", "Retained messages.")(counts.retainedMessages);
  out.family("canfleet_hub_sessions", "gauge", "Sessions that outlive their connection.")(counts.sessions);
  out.family(
    "canfleet_hub_received_messages_total",
    "counter",
    "Messages published to the hub.",
  )(counts.receivedMessages);
  out.family("canfleet_hub_received_bytes_total", "counter", "Bytes received from MQTT clients.")(counts.receivedBytes);
  out.family(
    "canfleet_hub_delivered_messages_total",
    "counter",
    "Messages handed to subscribers' connections.",
  )(counts.deliveredMessages);
  out.family(
    "canfleet_hub_delivered_bytes_total",
    "counter",
    "Bytes of messages handed to subscribers' connections.",
  )(counts.deliveredBytes);
  out.family(
    "canfleet_hub_dropped_messages_total",
    "counter",
    "Messages that slow or absent subscribers did not get.",
  )(counts.droppedMessages);
  out.family(
    "canfleet_hub_oversized_packets_total",
    "counter",
    "Connections ended for a packet that was too large.",
  )(counts.oversizedPackets);
  const invalid = out.family(
    "canfleet_hub_invalid_packets_total",
    "counter",
    "Connections ended for a packet against the MQTT standard.",
  );
  for (const [reason, count] of Object.entries(counts.invalidPackets)) invalid(count, { reason });
  const refused = out.family("canfleet_hub_refused_total", "counter", "Publishes, subscriptions and sessions refused.");
  for (const [reason, count] of Object.entries(counts.refusals)) refused(count, { reason });
  const evicted = out.family("canfleet_hub_evicted_clients_total", "counter", "Subscribers disconnected as too slow.");
  for (const [reason, count] of Object.entries(counts.evictions)) evicted(count, { reason });
}

function addFleet(out: Exposition, edges: EdgeView[]): void {
  const states = out.family("canfleet_edges", "gauge", "Edges by state.");
  for (const state of ["online", "offline", "unknown"] as const) {
    states(edges.filter((edge) => edge.state === state).length, { state });
  }
  const buses = edges.flatMap(({ edge, buses }) => buses.map((bus) => ({ labels: { edge, bus: bus.bus }, bus })));
  const gauge = (name: string, help: string, valueOf: (bus: BusView) => number | null): void => {
    const add = out.family(name, "gauge", help);
    for (const { labels, bus } of buses) add(valueOf(bus), labels);
  };
  gauge("canfleet_bus_up", "Whether the bus is up.", ({ state }) => (state === null ? null : state === "up" ? 1 : 0));
  gauge("canfleet_bus_bitrate_bits_per_second", "Nominal bit rate.", ({ bitrate }) => bitrate);
  gauge("canfleet_bus_load_ratio", "Bus load, 0 to 1.", ({ loadPercent }) =>
    loadPercent === null ? null : loadPercent / 100,
  );
  gauge("canfleet_bus_status_age_seconds", "Time since the edge's last status.", ({ ageMs }) =>
    ageMs === null ? null : ageMs / 1000,
  );
  const frames = out.family("canfleet_bus_frames_total", "counter", "Frames since the start of the edge's capture.");
  for (const { labels, bus } of buses) {
    frames(bus.frames.received, { ...labels, direction: "received" });
    frames(bus.frames.sent, { ...labels, direction: "sent" });
  }
  const lost = out.family("canfleet_bus_lost_frames_total", "counter", "Frames lost, by place; absent when not known.");
  for (const { labels, bus } of buses) {
    for (const [place, count] of knownPlaces(bus.lost)) lost(count, { ...labels, place });
  }
}

const PLACES: ReadonlySet<string> = new Set(LOSS_PLACES);

/** Losses at places that canfleet has; an edge's status may name others, which would be label values without bound. */
function knownPlaces(lost: BusView["lost"]): [place: string, frames: number | null][] {
  const known = Object.entries(lost).filter(([place]) => PLACES.has(place));
  const others = Object.entries(lost).filter(([place]) => !PLACES.has(place));
  if (others.length === 0) return known;
  const counts = others.map(([, frames]) => frames);
  const sum = counts.reduce<number | null>((a, b) => (a === null || b === null ? null : a + b), 0);
  return [...known, ["other", sum]];
}
