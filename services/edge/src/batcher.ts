import {
  addLosses,
  encodeBatch,
  FrameBatch,
  isErrorWord,
  MAX_DT_US,
  passesFilters,
  type BatchNotes,
  type CanFilter,
  type Losses,
} from "@canfleet/sdk";
import type { BatchLimits } from "./config.ts";

/** Where closed batches go. */
export interface BatchTaker {
  /** What the batch that is being closed says of other frames; asked once for each. */
  state(): { notes: BatchNotes; lost: Losses };
  /** Takes a closed batch. The payload never changes. */
  add(payload: Uint8Array, seq: number, count: number): void;
}

/** Gathers frames into CBOR batches and hands each to a taker (docs/wire-mqtt.md 2.1). */
export class Batcher {
  readonly #limits: BatchLimits;
  readonly #taker: BatchTaker;
  readonly #pending: FrameBatch;
  #lost: Losses = {};
  #timer: NodeJS.Timeout | undefined;
  /** When the oldest frame that waits came. */
  #waitingSinceMs = 0;
  #urgent: readonly CanFilter[] = [];

  constructor(limits: BatchLimits, taker: BatchTaker) {
    this.#limits = limits;
    this.#taker = taker;
    // One frame must always fit, whatever the byte limit.
    this.#pending = new FrameBatch(limits.maxFrames, Math.max(64, limits.maxBytes));
  }

  /** Frames that match send the batch that they are in at once; none: no frame does. Error frames never do. */
  setUrgent(urgent: readonly CanFilter[]): void {
    this.#urgent = urgent;
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
    if (this.#urgent.length > 0 && this.#hasUrgent(batch)) this.flush();
    if (this.#pending.count === 0 || this.#timer !== undefined) return;
    this.#waitingSinceMs = performance.now();
    this.#timer = setTimeout(() => this.flush(), this.#limits.maxAgeMs);
  }

  /** For how long the oldest frame has waited for its batch to close, ms; 0 when none waits. */
  waitingMs(nowMs: number): number {
    return this.#timer === undefined ? 0 : nowMs - this.#waitingSinceMs;
  }

  #hasUrgent(batch: FrameBatch): boolean {
    for (let i = 0; i < batch.count; i++) {
      const idWord = batch.idWord[i]!;
      if (!isErrorWord(idWord) && passesFilters(this.#urgent, idWord)) return true;
    }
    return false;
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
    const { notes, lost } = this.#taker.state();
    addLosses(this.#lost, lost);
    if (Object.keys(this.#lost).length > 0) pending.lost = this.#lost;
    this.#lost = {};
    this.#taker.add(encodeBatch(pending, 0, pending.count, notes), pending.seq, pending.count);
    pending.clear();
  }
}

function isStep(stepUs: number): boolean {
  return stepUs >= 0 && stepUs <= MAX_DT_US;
}
