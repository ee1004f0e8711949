import { addLosses, encodeBatch, FrameBatch, MAX_DT_US, type Losses } from "@canfleet/sdk";
import type { BatchLimits } from "./config.ts";

/**
 * Gathers frames into CBOR batches and hands each to a publisher (docs/wire-mqtt.md 2.1).
 *
 * A batch that the publisher does not take is dropped; its frames are stated as lost in the next one that goes out.
 */
export class Batcher {
  /** Frames that were not taken. */
  dropped = 0;
  readonly #limits: BatchLimits;
  readonly #publish: (payload: Uint8Array) => boolean;
  readonly #pending: FrameBatch;
  #lost: Losses = {};
  #timer: NodeJS.Timeout | undefined;

  /** @param publish takes a payload at once, or says false */
  constructor(limits: BatchLimits, publish: (payload: Uint8Array) => boolean) {
    this.#limits = limits;
    this.#publish = publish;
    // One frame must always fit, whatever the byte limit.
    this.#pending = new FrameBatch(limits.maxFrames, Math.max(64, limits.maxBytes));
  }

  /** Adds numbered frames; copies them. */
  add(batch: FrameBatch): void {
    let row = 0;
    while (row < batch.count) {
      const end = this.#timeRunEnd(batch, row);
      if (this.#pending.count > 0 && !this.#continues(batch, row)) this.flush();
      if (this.#pending.count === 0) this.#begin(batch, row);
      row += this.#pending.append(batch, row, end);
      if (row < batch.count || this.#isFull()) this.flush();
    }
    if (this.#pending.count > 0) this.#timer ??= setTimeout(() => this.flush(), this.#limits.maxAgeMs);
  }

  #begin(batch: FrameBatch, row: number): void {
    this.#pending.epoch = batch.epoch;
    this.#pending.seq = batch.seq + row;
    this.#pending.unknownFlags = batch.unknownFlags;
    if (row === 0 && batch.lost) addLosses(this.#lost, batch.lost);
  }

  /** Whether row `row` can follow what is pending: the next number, no loss between, no impossible time step. */
  #continues(batch: FrameBatch, row: number): boolean {
    const pending = this.#pending;
    const stepUs = batch.timestampUs[row]! - pending.timestampUs[pending.count - 1]!;
    const announced = row === 0 && batch.lost !== undefined;
    return (
      batch.epoch === pending.epoch &&
      batch.seq + row === pending.seq + pending.count &&
      batch.unknownFlags === pending.unknownFlags &&
      !announced &&
      isStep(stepUs)
    );
  }

  /** End of the run of rows that one `dt` column can hold. */
  #timeRunEnd(batch: FrameBatch, from: number): number {
    let end = from + 1;
    while (end < batch.count && isStep(batch.timestampUs[end]! - batch.timestampUs[end - 1]!)) end++;
    return end;
  }

  #isFull(): boolean {
    return this.#pending.count >= this.#limits.maxFrames || this.#pending.dataLength >= this.#limits.maxBytes;
  }

  /** Sends what is pending now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pending = this.#pending;
    if (pending.count === 0) return;
    if (Object.keys(this.#lost).length > 0) pending.lost = this.#lost;
    if (this.#publish(encodeBatch(pending))) {
      this.#lost = {};
    } else {
      this.dropped += pending.count;
      addLosses(this.#lost, { edge: pending.count });
    }
    pending.clear();
  }
}

function isStep(stepUs: number): boolean {
  return stepUs >= 0 && stepUs <= MAX_DT_US;
}
