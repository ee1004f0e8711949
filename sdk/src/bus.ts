import type { CanFilter } from "./can/filter.ts";
import type { FrameBatch, Losses } from "./can/frame-batch.ts";
import type { Message } from "./can/message.ts";

/** Where a batch comes from, for listeners that hear several buses. */
export interface BatchOrigin {
  /** `edge/bus` through a hub, or what the bus was opened as. */
  channel: string;
}

export interface LossEvent {
  channel: string;
  /** Frames lost by place; null where the number is not known. */
  lost: Losses;
  /** Which frames, where that is known: in complete order, for losses after the frames were numbered. */
  range?: LostRange;
}

/** Numbers `from` up to, not including, `to` of one epoch of a bus. */
export interface LostRange {
  epoch: number;
  from: number;
  to: number;
}

export interface SendOptions {
  /** The frame is not sent once this much time has gone by, ms. Default 500. */
  ttlMs?: number;
  /** Wait until the frame was on the bus. Default false. */
  confirm?: boolean;
}

/** A frame that was on the bus. */
export interface SendResult {
  /** Kernel time of the frame's echo, µs since 1970 UTC; undefined where the link or driver gives none. */
  timestampUs: number | undefined;
}

export interface RecvOptions {
  /** Longest wait, ms. Default: for ever. 0 takes only what is there. */
  timeoutMs?: number;
}

/** What a periodic send can be told later. */
export interface PeriodicTask {
  /**
   * Who keeps the beat: the edge's kernel, the edge, or this program by a timer. Undefined while the edge was not heard yet, and
   * once the task ended.
   */
  readonly keptBy: "kernel" | "edge" | "app" | undefined;
  /** Ends it. Kept by this program, nothing more is sent after this returns; else once the edge has heard. */
  stop(): void;
  /** Other data from the next period on; the arbitration id must stay the same. */
  modify(message: Message): void;
}

export type BusEvents = {
  /** One frame. Building it costs an object a frame; `batch` does not. */
  message: [message: Message];
  /** Frames as columns. The batch is the listener's own: it may be kept. */
  batch: [batch: FrameBatch, origin: BatchOrigin];
  loss: [loss: LossEvent];
  connect: [];
  disconnect: [reason: string];
  /** What went wrong while no call was waiting; the bus goes on. */
  error: [error: Error];
};

export type BusState = "connecting" | "connected" | "shutdown";

/** A CAN bus somewhere, python-can's members in camel case. */
export interface Bus extends AsyncIterable<Message>, AsyncDisposable {
  readonly isConnected: boolean;
  readonly state: BusState;
  /**
   * Queues a frame; with `confirm` resolves once it was on the bus.
   *
   * @throws CanfleetError `SEND_*` or `WIRE_CANNOT_CARRY` with the reason
   */
  send(message: Message, options?: SendOptions): Promise<SendResult>;
  /**
   * Queues every frame of a batch, in order; what becomes of them is told by `error` events only.
   *
   * @throws CanfleetError when the batch as a whole cannot be queued
   */
  sendBatch(batch: FrameBatch, options?: Pick<SendOptions, "ttlMs">): Promise<void>;
  /** The next frame; null when the time is over or the bus is shut down. */
  recv(options?: RecvOptions): Promise<Message | null>;
  /** Only frames that pass are received from now on. No filters: all frames. */
  setFilters(filters: readonly CanFilter[]): void;
  /**
   * Sends again and again, first at once. What becomes of it is told by `error` events.
   *
   * @param periodMs 1 or more; through a hub at most 3,600,000
   * @throws RangeError for another period
   */
  sendPeriodic(message: Message, periodMs: number): PeriodicTask;
  /** Forgets received frames that nobody took yet. */
  clearReceiveBuffer(): void;
  /** Ends the bus: pending `recv` gives null, pending confirmed sends reject. */
  shutdown(): Promise<void>;
  on<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this;
  once<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this;
  off<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this;
}
