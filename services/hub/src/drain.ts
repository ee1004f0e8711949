import type { Broker } from "./broker.ts";
import type { FleetClient } from "./fleet-client.ts";
import type { Listener } from "./listeners.ts";
import type { Readiness } from "./readiness.ts";
import type { Taker } from "./taker.ts";

export interface DrainParts {
  readiness: Readiness;
  /** Those of MQTT, which the next hub needs. */
  mqtt: readonly Listener[];
  /** Undefined with an external broker. */
  broker: Broker | undefined;
  taker: Taker;
  fleetClient: FleetClient;
}

/** Longest wait for the acknowledgements to be on their way, ms. */
const FLUSH_TIMEOUT_MS = 400;

/**
 * The first part of a hub's end (docs/operations.md, 3): nobody new, nothing more from anybody, everything that was taken
 * acknowledged. What is not done in time is left out: edges send again what is not acknowledged.
 */
export async function drain({ readiness, mqtt, broker, taker, fleetClient }: DrainParts): Promise<void> {
  readiness.drain();
  for (const listener of mqtt) listener.stopAccepting();
  broker?.quiesce(new Set([taker.clientId, fleetClient.clientId]));
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, FLUSH_TIMEOUT_MS);
  });
  await Promise.race([taker.flush(), timeout]);
  clearTimeout(timer);
}
