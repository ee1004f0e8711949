import { createRequire } from "node:module";
import type { Broker } from "./broker.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import type { FleetClient } from "./fleet-client.ts";
import type { Fleet } from "./fleet.ts";
import { fileRoutes, json, text, type Route } from "./http.ts";
import { renderMetrics } from "./metrics.ts";
import type { StaticFile } from "./static-files.ts";

export interface HubParts {
  base: string;
  /** Where the broker is reached from this machine; without user and password. */
  mqttUrl: string;
  /** Undefined with an external broker. */
  broker: Broker | undefined;
  gate: ConnectionGate;
  fleet: Fleet;
  fleetClient: FleetClient;
  files: ReadonlyMap<string, StaticFile>;
}

const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
/** Clients shown at `/api/clients`: those with most drops. */
const MAX_CLIENTS_SHOWN = 200;

/** Everything that the hub answers over HTTP. */
export function hubRoutes({
  base,
  mqttUrl,
  broker,
  gate,
  fleet,
  fleetClient,
  files,
}: HubParts): [path: string, route: Route][] {
  const edges = (): ReturnType<Fleet["edges"]> => fleet.edges(performance.now());
  const noPage: Route = () => text("the page is not built here: npm run build\n", 503);
  return [
    ["/", noPage],
    ...fileRoutes(files),
    ["/healthz", () => health(fleetClient)],
    [
      "/metrics",
      () =>
        text(
          renderMetrics({
            version,
            broker: broker?.counts(),
            cuts: gate.cuts,
            brokerConnected: fleetClient.isConnected,
            edges: edges(),
          }),
          200,
          "text/plain; version=0.0.4; charset=utf-8",
        ),
    ],
    [
      "/api/fleet",
      () =>
        json({
          version,
          base,
          mqttUrl,
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

function health(fleetClient: FleetClient): ReturnType<Route> {
  const ok = fleetClient.isConnected;
  return json({ status: ok ? "ok" : "broker unreachable", version }, ok ? 200 : 503);
}

function hubSummary(broker: Broker): { connections: number; droppedMessages: number } {
  const { connections, droppedMessages } = broker.counts();
  return { connections, droppedMessages };
}
