import { writeSync } from "node:fs";
import type { CanCapabilities, CanInterface, CanSink, SendOutcome } from "@canfleet/edge";
import { FLAG_FD, FrameBatch } from "@canfleet/sdk";

const FRAME_BYTES = 64;
const TICK_MS = 2;

/** How much a load makes. */
export interface LoadRate {
  batchesPerSecond: number;
  framesPerBatch: number;
}

/**
 * A bus that makes CAN FD frames at a rate; each carries its running number in its first 8 bytes. How many there were is
 * written to a file before they are handed on, so that it is known whatever becomes of the process.
 */
export class LoadInterface implements CanInterface {
  readonly channel: string;
  readonly driver = "sim";
  readonly capabilities: CanCapabilities = {
    fd: true,
    ownFrames: "unseen",
    timestamps: "driver",
    losses: "none",
    sendErrors: "none",
    filters: "driver",
    canSend: false,
    unknownFlags: 0,
  };
  rate: LoadRate;
  produced = 0;
  readonly #countFile: number;
  readonly #batch: FrameBatch;
  readonly #payload = new Uint8Array(FRAME_BYTES);
  readonly #number = new DataView(this.#payload.buffer);
  readonly #count = new BigUint64Array(1);
  #owed = 0;
  #beforeMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** @param countFile open file whose first 8 bytes get the number of frames made */
  constructor(channel: string, rate: LoadRate, countFile: number) {
    this.channel = channel;
    this.rate = rate;
    this.#countFile = countFile;
    this.#batch = new FrameBatch(rate.framesPerBatch, rate.framesPerBatch * FRAME_BYTES);
  }

  open(sink: CanSink): Promise<void> {
    this.#beforeMs = performance.now();
    this.#timer = setInterval(() => this.#tick(sink), TICK_MS);
    return Promise.resolve();
  }

  #tick(sink: CanSink): void {
    const nowMs = performance.now();
    // A process that was stopped does not make up for it, as a real bus would not: its kernel would count the loss.
    this.#owed += (Math.min(200, nowMs - this.#beforeMs) * this.rate.batchesPerSecond) / 1000;
    this.#beforeMs = nowMs;
    for (; this.#owed >= 1; this.#owed--) this.#make(sink);
  }

  #make(sink: CanSink): void {
    const { framesPerBatch } = this.rate;
    this.#count[0] = BigInt(this.produced + framesPerBatch);
    writeSync(this.#countFile, this.#count, 0, 8, 0);
    this.#batch.clear();
    for (let i = 0; i < framesPerBatch; i++) {
      this.#number.setFloat64(0, this.produced++);
      this.#batch.push({ idWord: 0x100, data: this.#payload, flags: FLAG_FD, timestampUs: Date.now() * 1000 });
    }
    sink.frames(this.#batch);
  }

  send(): SendOutcome {
    return { accepted: 0, refusal: { kind: "unsupported", errno: "unknown" } };
  }

  setFilters(): void {
    // All frames count.
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    return Promise.resolve();
  }
}
