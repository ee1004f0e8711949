/** What `/api/fleet` answers; null where nobody knows. */
export interface FleetAnswer {
  version: string;
  base: string;
  mqttUrl: string;
  brokerConnected: boolean;
  hub: { connections: number; droppedMessages: number } | null;
  edges: EdgeAnswer[];
}

export interface EdgeAnswer {
  edge: string;
  state: "online" | "offline" | "unknown";
  version: string | null;
  host: string | null;
  buses: BusAnswer[];
}

export interface BusAnswer {
  bus: string;
  state: string | null;
  reason: string | null;
  busState: string | null;
  driver: string | null;
  send: string | null;
  bitrate: number | null;
  loadPercent: number | null;
  framesPerSecond: number | null;
  lost: { [place: string]: number | null };
  ageMs: number | null;
}

/** The fleet as the hub sees it now; rejects when the hub cannot be reached. */
export async function fetchFleet(): Promise<FleetAnswer> {
  const response = await fetch("api/fleet", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`the hub answered ${response.status}`);
  return (await response.json()) as FleetAnswer;
}
