import { HubConnection, type HubUrls } from "@canfleet/sdk";
import { PATIENCE_MS, until } from "./until.ts";

/** A JSON message of an edge, as far as tests look into it. */
export interface Report {
  state?: string;
  reason?: string;
  session?: number;
  epoch?: number;
  seq?: number;
  frames?: { received: number; sent: number };
  filtered?: number;
  control?: { filters?: string; latestHz?: number; urgent?: string; tasks?: number };
  lost?: { [place: string]: number | null };
  buses?: { [bus: string]: { driver: string; send: string } };
}

/** What a hub says of its edges: the newest `state`, `info` and `status` messages. */
export class Fleet {
  readonly #reports = new Map<string, Report>();
  readonly #hub: HubConnection;

  private constructor(urls: HubUrls) {
    this.#hub = new HubConnection(urls, {
      maxReconnectMs: 500,
      onMessage: (topic, payload) => {
        const text = new TextDecoder().decode(payload);
        if (text !== "") this.#reports.set(topic, JSON.parse(text) as Report);
      },
    });
  }

  static async connect(urls: HubUrls): Promise<Fleet> {
    const fleet = new Fleet(urls);
    await fleet.#hub.ready(PATIENCE_MS);
    const topics = ["canfleet/+/state", "canfleet/+/info", "canfleet/+/+/status"];
    await fleet.#hub.subscribe(topics, 1);
    return fleet;
  }

  /** Forgets what was said so far, so that only what is said from now on counts. */
  forget(): void {
    this.#reports.clear();
  }

  /** The newest message on `canfleet/PATH`. */
  report(path: string): Report | undefined {
    return this.#reports.get(`canfleet/${path}`);
  }

  /** Waits until the message on `canfleet/PATH` is as wanted. */
  until(path: string, wanted: (report: Report) => boolean): Promise<Report> {
    return until(
      `canfleet/${path} as ${wanted.toString()}`,
      () => {
        const report = this.report(path);
        return report && wanted(report) ? report : undefined;
      },
      PATIENCE_MS,
      () => `it is ${JSON.stringify(this.report(path))}`,
    );
  }

  /** Waits until an edge is online and its bus is up. */
  async ready(edge: string, bus: string): Promise<void> {
    await this.until(`${edge}/state`, (report) => report.state === "online");
    await this.until(`${edge}/${bus}/status`, (report) => report.state === "up");
  }

  async close(): Promise<void> {
    await this.#hub.close();
  }
}
