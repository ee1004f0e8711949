import { edgeTopic, busTopic, HubConnection, isBusName, isEdgeName, parseTopic } from "@canfleet/sdk";
import type { ClientHub } from "./client-settings.ts";
import { readInfo, readState, readStatus, type EdgeInfo, type EdgeState, type BusStatus } from "./fleet-messages.ts";

export interface EdgeView {
  state: EdgeState | undefined;
  info: EdgeInfo | undefined;
  /** Status by bus; undefined where only `info` names the bus. */
  buses: Map<string, BusStatus | undefined>;
}

/** Retained messages follow the subscription at once: this much silence means that all are here, ms. */
const QUIET_MS = 250;
/** Longest wait for that silence, ms: a large fleet speaks all the time. */
const SETTLE_LIMIT_MS = 2_000;

/** Edges that are kept in mind at most, and buses of each: what a hub says is not trusted to be small. */
const MAX_EDGES = 10_000;
const MAX_BUSES = 64;

/** What the edges say of themselves: their retained state, info and status, kept up to date. */
export class FleetView {
  readonly edges = new Map<string, EdgeView>();
  readonly #base: string;
  readonly #connection: HubConnection;
  #lastMessageMs = 0;

  private constructor({ urls, base, tls, login }: ClientHub) {
    this.#base = base;
    this.#connection = new HubConnection(urls, {
      ...login,
      tls,
      onMessage: (topic, payload, retained) => this.#onMessage(topic, payload, retained),
    });
  }

  /**
   * Asks a hub for one edge, or with "+" for all, and waits for what it has retained.
   *
   * @throws CanfleetError `HUB_UNREACHABLE`, `HUB_REFUSED`
   */
  static async open(hub: ClientHub, edge = "+"): Promise<FleetView> {
    const view = new FleetView(hub);
    try {
      await view.#connection.ready();
      const { base } = hub;
      const topics = [
        edgeTopic(base, edge, "state"),
        edgeTopic(base, edge, "info"),
        busTopic(base, edge, "+", "status"),
      ];
      await view.#connection.subscribe(topics, 1);
      await view.#settled();
    } catch (error) {
      await view.close();
      throw error;
    }
    return view;
  }

  async #settled(): Promise<void> {
    const start = performance.now();
    this.#lastMessageMs = start;
    while (performance.now() - this.#lastMessageMs < QUIET_MS && performance.now() - start < SETTLE_LIMIT_MS) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #onMessage(topic: string, payload: Uint8Array, retained: boolean): void {
    const parsed = parseTopic(this.#base, topic);
    if (!parsed || !isEdgeName(parsed.edge)) return;
    // Only what was retained decides whether all of it is here: live status messages never end.
    if (retained) this.#lastMessageMs = performance.now();
    const edge = this.#edge(parsed.edge);
    if (!edge) return;
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8");
    if (parsed.bus === undefined) this.#onEdgeMessage(edge, parsed.leaf, text);
    else if (parsed.leaf === "status" && this.#hasRoom(edge, parsed.bus)) edge.buses.set(parsed.bus, readStatus(text));
  }

  #onEdgeMessage(edge: EdgeView, leaf: string, text: string): void {
    if (leaf === "state") edge.state = newerState(edge.state, readState(text));
    if (leaf !== "info") return;
    edge.info = readInfo(text) ?? edge.info;
    for (const bus of edge.info?.buses.keys() ?? []) {
      if (isBusName(bus) && this.#hasRoom(edge, bus) && !edge.buses.has(bus)) edge.buses.set(bus, undefined);
    }
  }

  #hasRoom(edge: EdgeView, bus: string): boolean {
    return edge.buses.has(bus) || edge.buses.size < MAX_BUSES;
  }

  #edge(name: string): EdgeView | undefined {
    let edge = this.edges.get(name);
    if (!edge && this.edges.size < MAX_EDGES) {
      edge = { state: undefined, info: undefined, buses: new Map() };
      this.edges.set(name, edge);
    }
    return edge;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** A late will speaks of a connection that was followed by another: it is no news (docs/wire-mqtt.md 3.1). */
function newerState(known: EdgeState | undefined, heard: EdgeState | undefined): EdgeState | undefined {
  if (!heard) return known;
  const isLateWill = known?.online === true && !heard.online && heard.session < known.session;
  return isLateWill ? known : heard;
}
