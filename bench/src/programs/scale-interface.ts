/** A bus for real edges that makes the traffic of the light ones. */
import type { CanCapabilities, CanInterface, CanSink, SendOutcome } from "@canfleet/edge";
import { FrameBatch } from "@canfleet/sdk";
import { periodicTraffic } from "../traffic.ts";
import { nowUs } from "./scale-traffic.ts";

const TICK_MS = 5;
const LOOP = 1_000;

export class PacedInterface implements CanInterface {
  readonly channel: string;
  readonly driver = "sim";
  readonly capabilities: CanCapabilities = {
    fd: false,
    ownFrames: "unseen",
    timestamps: "driver",
    losses: "none",
    sendErrors: "none",
    filters: "driver",
    canSend: false,
    unknownFlags: 0,
  };
  produced = 0;
  isRunning = false;
  readonly #framesPerSecond: number;
  readonly #traffic = periodicTraffic(LOOP, { extended: false });
  readonly #batch = new FrameBatch(64, 64 * 8);
  #owed = 0;
  #beforeMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(channel: string, framesPerSecond: number) {
    this.channel = channel;
    this.#framesPerSecond = framesPerSecond;
  }

  open(sink: CanSink): Promise<void> {
    this.#timer = setInterval(() => this.#tick(sink), TICK_MS);
    return Promise.resolve();
  }

  #tick(sink: CanSink): void {
    const nowMs = performance.now();
    const passedMs = this.#beforeMs === 0 ? 0 : Math.min(100, nowMs - this.#beforeMs);
    this.#beforeMs = this.isRunning ? nowMs : 0;
    this.#owed += (passedMs * this.#framesPerSecond) / 1000;
    const count = Math.min(64, Math.floor(this.#owed));
    if (!this.isRunning || count === 0) return;
    this.#owed -= count;
    this.#batch.clear();
    for (let n = 0; n < count; n++) {
      const row = this.produced++ % LOOP;
      this.#batch.push({ idWord: this.#traffic.idWord[row]!, data: this.#traffic.payload(row), timestampUs: nowUs() });
    }
    sink.frames(this.#batch);
  }

  send(): SendOutcome {
    return { accepted: 0, refusal: { kind: "unsupported", errno: "unknown" } };
  }

  setFilters(): void {
    // All frames count.
  }

  /** Ends the traffic; the bus stays. */
  stop(): void {
    this.isRunning = false;
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    return Promise.resolve();
  }
}
