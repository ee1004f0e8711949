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
  clock: { offsetUs: number | null; steps: number | null };
  spool: { state: string; reason: string | null; bytes: number | null; dropping: boolean } | null;
  ageMs: number | null;
}

/** What `/api/session` answers; null where nobody is asked who they are. */
export interface SessionAnswer {
  name: string | null;
  role: string | null;
}

/** Who looks at this page; rejects when the hub cannot be reached. */
export async function fetchSession(): Promise<SessionAnswer> {
  return (await ask("api/session")) as SessionAnswer;
}

/** The fleet as the hub sees it now; rejects when the hub cannot be reached. */
export async function fetchFleet(): Promise<FleetAnswer> {
  return (await ask("api/fleet")) as FleetAnswer;
}

async function ask(path: string): Promise<unknown> {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5_000) });
  // The session is over: only a login helps.
  if (response.status === 401) location.assign("login");
  if (!response.ok) throw new Error(`the hub answered ${response.status}`);
  return response.json();
}
