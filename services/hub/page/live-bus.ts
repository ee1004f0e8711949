import { MqttBus, type FrameBatch } from "@canfleet/sdk/browser";

/** Pause between two attempts to reach the hub, ms. Once reached, the bus reconnects by itself. */
const RETRY_MS = 2_000;

export interface LiveBusEvents {
  batch: (batch: FrameBatch) => void;
  /** Frames that did not arrive here; null: some, nobody knows how many. */
  lost: (frames: number | null) => void;
  connected: (isConnected: boolean) => void;
}

/** The frames of one bus, over MQTT on the page's own address, until it is closed. */
export class LiveBus {
  readonly #events: LiveBusEvents;
  #bus: MqttBus | undefined;
  #isClosed = false;

  constructor(edge: string, bus: string, base: string, events: LiveBusEvents) {
    this.#events = events;
    void this.#open(edge, bus, base);
  }

  async #open(edge: string, bus: string, base: string): Promise<void> {
    try {
      const opened = await MqttBus.connect(mqttAddress(), { edge, bus, base });
      await this.#takeOver(opened);
    } catch {
      if (this.#isClosed) return;
      this.#events.connected(false);
      setTimeout(() => void this.#open(edge, bus, base), RETRY_MS);
    }
  }

  /** Another bus may have been chosen while this one was being connected. */
  async #takeOver(opened: MqttBus): Promise<void> {
    if (this.#isClosed) await opened.shutdown();
    else this.#listen(opened);
  }

  #listen(bus: MqttBus): void {
    this.#bus = bus;
    bus.on("batch", (batch) => this.#events.batch(batch));
    bus.on("loss", ({ lost }) => {
      // What the edge lost is in the fleet's counters; here counts what this page missed on the way.
      if ("hub" in lost) this.#events.lost(lost.hub ?? null);
    });
    bus.on("connect", () => this.#events.connected(true));
    bus.on("disconnect", () => this.#events.connected(false));
    this.#events.connected(true);
  }

  close(): void {
    this.#isClosed = true;
    const bus = this.#bus;
    this.#bus = undefined;
    bus?.shutdown().catch(() => undefined);
  }
}

function mqttAddress(): string {
  const url = new URL("mqtt", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  return url.href;
}
