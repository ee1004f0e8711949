import {
  decodeAck,
  decodeBackfillRequest,
  encodeBackfillResponse,
  isCanfleetError,
  type BackfillResponse,
} from "@canfleet/sdk";
import { setTimeout as sleep } from "node:timers/promises";
import type { BusLedger } from "./bus-ledger.ts";
import type { StoredBatch } from "./history.ts";
import type { HubLink } from "./hub-link.ts";

/** The ways out that backfill needs of the uplink. */
export interface BackfillWay {
  /** Bytes that wait for the socket. */
  readonly bufferedBytes: number;
  /** @returns false when it was not taken */
  publishBackfill(bus: string, payload: Uint8Array): boolean;
  publishResponse(bus: string, text: string): void;
}

/** Batches and bytes that are not acknowledged at most. */
const WINDOW_BATCHES = 256;
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Backfill waits while more than this waits for the socket: live frames must never queue behind it. */
const MAX_BUFFERED_BYTES = 128 * 1024;
/** Batches sent in one turn of the event loop. */
const TURN_BATCHES = 32;
const TICK_MS = 100;
const SETTLE_CHECK_MS = 20;
/** How long to wait for the rate at a time, ms. */
const RATE_PAUSE_MS = 10;
/** What may be sent at once after a pause, as time at the full rate, ms. */
const BURST_MS = 50;

/**
 * Sends again what subscribers asked for and what the hub has not acknowledged, for all buses of an edge, so that live
 * frames never wait for it: it goes on when the socket has drained, when the hub has acknowledged, and at a bounded rate.
 */
export class Backfill {
  /** Acknowledgements and requests that were not as they should be. */
  badMessages = 0;
  /** Batches sent. */
  sentBatches = 0;
  readonly #link: HubLink;
  readonly #way: BackfillWay;
  readonly #bytesPerSecond: number;
  readonly #ledgers = new Map<string, BusLedger>();
  readonly #ticker: NodeJS.Timeout;
  #turn = 0;
  #isScheduled = false;
  #pause: NodeJS.Timeout | undefined;
  #allowance = 0;
  #allowanceAtMs = performance.now();

  constructor(link: HubLink, way: BackfillWay, bytesPerSecond: number) {
    this.#link = link;
    this.#way = way;
    this.#bytesPerSecond = bytesPerSecond;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  addBus(bus: string, ledger: BusLedger): void {
    this.#ledgers.set(bus, ledger);
  }

  connected(): void {
    this.#link.connected(performance.now());
    this.#linkChanged();
  }

  disconnected(): void {
    this.#link.disconnected();
    this.#linkChanged();
  }

  #linkChanged(): void {
    for (const ledger of this.#ledgers.values()) ledger.linkChanged();
    this.pump();
  }

  /** Enters an acknowledgement of the hub. */
  acknowledged(payload: Uint8Array): void {
    this.#guard(() => {
      const ack = decodeAck(payload);
      this.#link.acknowledged();
      for (const [bus, taken] of ack) this.#ledgers.get(bus)?.acknowledged(taken);
    });
    this.pump();
  }

  /** Enters a request; those of other kinds are not for us. */
  requested(bus: string, payload: Uint8Array): void {
    this.#guard(() => {
      const request = decodeBackfillRequest(payload);
      const refusal = request && this.#ledgers.get(bus)?.ask(request);
      if (refusal) this.#respond(bus, refusal);
    });
    this.pump();
  }

  #guard(enter: () => void): void {
    try {
      enter();
    } catch (error) {
      if (!isCanfleetError(error)) throw error;
      this.badMessages++;
    }
  }

  #respond(bus: string, response: BackfillResponse): void {
    this.#way.publishResponse(bus, encodeBackfillResponse(response));
  }

  #tick(): void {
    for (const ledger of this.#ledgers.values()) ledger.tick();
    this.pump();
  }

  /** Sends what may be sent now; to be called whenever that may have become more. */
  pump(): void {
    if (this.#isScheduled) return;
    for (let i = 0; i < TURN_BATCHES; i++) {
      if (!this.#mayGoOn() || !this.#sendOne()) return;
    }
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.pump();
    });
  }

  #mayGoOn(): boolean {
    if (!this.#link.isConnected || this.#way.bufferedBytes > MAX_BUFFERED_BYTES) return false;
    const nowMs = performance.now();
    const burst = (this.#bytesPerSecond * BURST_MS) / 1000;
    const earned = ((nowMs - this.#allowanceAtMs) * this.#bytesPerSecond) / 1000;
    this.#allowance = Math.min(burst, this.#allowance + earned);
    this.#allowanceAtMs = nowMs;
    if (this.#allowance > 0) return true;
    this.#pause ??= setTimeout(() => {
      this.#pause = undefined;
      this.pump();
    }, RATE_PAUSE_MS);
    return false;
  }

  /** One batch of the bus whose turn it is: what was asked for first, since somebody holds frames until it comes. */
  #sendOne(): boolean {
    const buses = [...this.#ledgers];
    const windowOpen = this.#isWindowOpen();
    for (let i = 0; i < buses.length; i++) {
      const [bus, ledger] = buses[(this.#turn + i) % buses.length]!;
      const asked = ledger.nextAsked((response) => this.#respond(bus, response));
      const batch = asked ?? (windowOpen ? ledger.nextBackfill() : undefined);
      if (batch === undefined || batch === "later") continue;
      if (!this.#publish(bus, batch)) return false;
      if (!asked) ledger.sent(batch);
      this.#turn = (this.#turn + i + 1) % buses.length;
      return true;
    }
    return false;
  }

  #publish(bus: string, { payload }: StoredBatch): boolean {
    if (!this.#way.publishBackfill(bus, payload)) return false;
    this.#allowance -= payload.length;
    this.sentBatches++;
    return true;
  }

  #isWindowOpen(): boolean {
    let batches = 0;
    let bytes = 0;
    for (const { inFlight } of this.#ledgers.values()) {
      batches += inFlight.batches;
      bytes += inFlight.bytes;
    }
    // One batch is the probe that makes a hub answer which is there.
    const isProbing = !this.#link.isAnswering && !this.#link.hasNoHub(performance.now());
    return batches < (isProbing ? 1 : WINDOW_BATCHES) && bytes < WINDOW_BYTES;
  }

  /** What lies on disk can be read. */
  storeReady(): void {
    for (const ledger of this.#ledgers.values()) ledger.tick();
    this.pump();
  }

  /** Ends when a hub that is there has taken all live batches, or after `timeoutMs`. */
  async settled(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    const ledgers = [...this.#ledgers.values()];
    while (this.#link.isAnswering && performance.now() < endMs && !ledgers.every(({ isSettled }) => isSettled)) {
      await sleep(SETTLE_CHECK_MS);
    }
  }

  close(): void {
    clearInterval(this.#ticker);
    clearTimeout(this.#pause);
    this.#link.disconnected();
    for (const ledger of this.#ledgers.values()) ledger.linkChanged();
  }
}
