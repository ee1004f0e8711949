import type { FrameBatch } from "@canfleet/sdk";
import { BusLoad } from "./bus-load.ts";
import { BusStateFollower } from "./bus-state.ts";
import type { CanInterface, ControllerInfo, LinkState } from "./can-interface.ts";

/**
 * Not every driver reports that a controller recovered (mcp251x does not): while one is in trouble, it is asked again
 * this often, ms.
 */
const TROUBLE_INTERVAL_MS = 5000;

/** How a bus is, as `status` says it (docs/wire-mqtt.md 3.3). */
export interface BusHealth {
  busState: BusStateFollower["state"];
  errors: { frames: number; tx: number | null; rx: number | null; restarts: number };
  bitrate: number | null;
  dataBitrate: number | null;
  /** Of the last whole interval, %, 0–100. */
  loadPercent: number | null;
}

export interface BusMonitorOptions {
  /** Whether frames are filtered out before they are read: then nobody knows how many there were. */
  isFiltered: boolean;
  /** Frames written so far by this host's relay. */
  sentFrames: () => number;
  /** The bus state is another one: at once, but at most 10 times a second. */
  onState: () => void;
  /** The controller's settings became known or changed. */
  onController: () => void;
  /** A clock that never goes back, ms. Default: the machine's. */
  now?: () => number;
}

/** Watches over a bus: state of its controller, bit rates, load. */
export class BusMonitor {
  /** What the controller said last; undefined where it said nothing. */
  controller: ControllerInfo | undefined;
  readonly state: BusStateFollower;
  readonly #can: CanInterface;
  readonly #options: BusMonitorOptions;
  readonly #now: () => number;
  readonly #load: BusLoad;
  #loadPercent: number | null = null;
  #sentBefore = 0;
  /** Number of the newest question to the controller: answers to older ones are out of date. */
  #asked = 0;
  #askedAtMs = 0;
  #closed = false;

  constructor(can: CanInterface, options: BusMonitorOptions) {
    this.#can = can;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#load = new BusLoad(this.#now());
    this.state = new BusStateFollower(options.onState);
  }

  frames(batch: FrameBatch): void {
    this.state.observe(batch);
    this.#load.add(batch);
  }

  lost(frames: number | null): void {
    this.#load.lost(frames);
  }

  /** The interface was opened, came up, went down or away. */
  link(state: LinkState): void {
    this.state.tell(null, null, null);
    if (state === "gone") this.#setController(undefined);
    void this.#ask();
  }

  /** Ends an interval of the load. To be called about once a second. */
  tick(): void {
    const nowMs = this.#now();
    this.#noteUnseen();
    this.#loadPercent = this.#load.take(nowMs);
    const troubled = this.state.state !== null && this.state.state !== "error-active";
    if (troubled && this.controller && nowMs >= this.#askedAtMs + TROUBLE_INTERVAL_MS) void this.#ask();
  }

  #noteUnseen(): void {
    const sent = this.#options.sentFrames();
    const ownUnseen = sent !== this.#sentBefore && this.#can.capabilities.ownFrames === "unseen";
    this.#sentBefore = sent;
    if (this.#options.isFiltered || ownUnseen) this.#load.lost(null);
  }

  async #ask(): Promise<void> {
    const question = ++this.#asked;
    this.#askedAtMs = this.#now();
    const { changes } = this.state;
    const info = await this.#can.controller?.();
    if (this.#closed || question !== this.#asked) return;
    this.#setController(info);
    // What error frames said meanwhile is newer.
    if (!info || this.state.changes !== changes) return;
    // Some drivers (slcan) put the counters into error frames only.
    this.state.tell(info.busState, info.txErrors ?? this.state.txErrors, info.rxErrors ?? this.state.rxErrors);
  }

  #setController(info: ControllerInfo | undefined): void {
    const before = this.controller;
    this.controller = info;
    this.#load.setBitrates(info?.bitrate ?? null, info?.dataBitrate ?? null, this.#now());
    const same =
      before?.bitrate === info?.bitrate &&
      before?.dataBitrate === info?.dataBitrate &&
      before?.restartMs === info?.restartMs;
    if (!same) this.#options.onController();
  }

  health(): BusHealth {
    const { state, txErrors, rxErrors, errorFrames, restarts } = this.state;
    return {
      busState: state,
      errors: { frames: errorFrames, tx: txErrors, rx: rxErrors, restarts },
      bitrate: this.controller?.bitrate ?? null,
      dataBitrate: this.controller?.dataBitrate ?? null,
      loadPercent: this.#loadPercent,
    };
  }

  close(): void {
    this.#closed = true;
    this.state.close();
  }
}
