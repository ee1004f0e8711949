import { createRequire } from "node:module";
import type { Broker } from "./broker.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import type { FleetClient } from "./fleet-client.ts";
import type { EdgeView, Fleet } from "./fleet.ts";
import { fileRoutes, json, text, type Route } from "./http.ts";
import { renderMetrics } from "./metrics.ts";
import type { ProcessMeter } from "./process-metrics.ts";
import type { Readiness } from "./readiness.ts";
import type { StaticFile } from "./static-files.ts";
import type { Taker } from "./taker.ts";
import type { Upstream } from "./upstream.ts";

export interface HubParts {
  base: string;
  /** Where the broker is reached from this machine; without user and password. */
  mqttUrl: () => string;
  /** Undefined with an external broker. */
  broker: Broker | undefined;
  gate: ConnectionGate;
  fleet: Fleet;
  fleetClient: FleetClient;
  taker: Taker;
  readiness: Readiness;
  meter: ProcessMeter;
  /** Undefined without a hub above. */
  upstream: Upstream | undefined;
  files: ReadonlyMap<string, StaticFile>;
}

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
/** Clients shown at `/api/clients`: those with most drops. */
const MAX_CLIENTS_SHOWN = 200;

/** Everything that the hub answers over HTTP. */
export function hubRoutes(parts: HubParts): [path: string, route: Route][] {
  const { base, mqttUrl, broker, fleet, fleetClient, files } = parts;
  const edges = (): ReturnType<Fleet["edges"]> => fleet.edges(performance.now());
  const noPage: Route = () => text("the page is not built here: npm run build\n", 503);
  return [
    ["/", noPage],
    ...fileRoutes(files),
    ["/healthz", () => json({ status: "ok", version })],
    ["/readyz", () => ready(parts.readiness)],
    ["/metrics", () => text(metrics(parts, edges()), 200, "text/plain; version=0.0.4; charset=utf-8")],
    [
      "/api/fleet",
      () =>
        json({
          version,
          base,
          mqttUrl: mqttUrl(),
          brokerConnected: fleetClient.isConnected,
          hub: broker ? hubSummary(broker) : null,
          edges: edges(),
        }),
    ],
    // Nobody is asked who they are here.
    ["/api/session", () => json({ name: null, role: null })],
    ["/api/clients", () => json({ clients: broker?.clients().slice(0, MAX_CLIENTS_SHOWN) ?? null })],
  ];
}

function ready({ state }: Readiness): ReturnType<Route> {
  return json({ status: state, version }, state === "ready" ? 200 : 503);
}

function metrics(
  { broker, gate, fleetClient, taker, upstream, readiness, meter }: HubParts,
  edges: EdgeView[],
): string {
  return renderMetrics({
    version,
    process: meter.read(),
    isReady: readiness.state === "ready",
    takenFrames: taker.takenFrames,
    badBatches: taker.badBatches,
    broker: broker?.counts(),
    cuts: gate.cuts,
    brokerConnected: fleetClient.isConnected,
    upstream,
    edges,
  });
}

function hubSummary(broker: Broker): { connections: number; droppedMessages: number } {
  const { connections, droppedMessages } = broker.counts();
  return { connections, droppedMessages };
}
