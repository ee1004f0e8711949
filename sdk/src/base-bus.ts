import type { Bus, BusEvents, BusState, LostRange, PeriodicTask, RecvOptions, SendOptions, SendResult } from "./bus.ts";
import { filterBatch, type CanFilter } from "./can/filter.ts";
import type { FrameBatch, Losses } from "./can/frame-batch.ts";
import { Message } from "./can/message.ts";
import { Emitter } from "./emitter.ts";
import { CanfleetError } from "./errors.ts";
import { ReceiveQueue } from "./receive-queue.ts";
import { MAX_TTL_MS } from "./wire/send-request.ts";

export interface BaseBusOptions {
  /** What passes; none: everything. */
  filters?: readonly CanFilter[];
  /** Received frames that wait for `recv` at most; older ones are dropped and counted at `app`. Default 65,536. */
  receiveQueueFrames?: number;
}

/** What both buses share: events, the receive queue, filters, periodic sends. A carrier adds `send` and `close`. */
export abstract class BaseBus implements Bus {
  readonly #events: Emitter<BusEvents>;
  readonly #queue: ReceiveQueue;
  readonly #periodic = new Set<PeriodicTask>();
  #filters: readonly CanFilter[];
  #state: BusState = "connecting";
  #pulled = false;

  protected constructor(options: BaseBusOptions) {
    this.#filters = options.filters ?? [];
    this.#queue = new ReceiveQueue(options.receiveQueueFrames ?? 65_536);
    // A listener's own mistake must be seen, as an uncaught one would be, but not inside the data path.
    this.#events = new Emitter((error) =>
      queueMicrotask(() => {
        throw error;
      }),
    );
  }

  abstract send(message: Message, options?: SendOptions): Promise<SendResult>;

  async sendBatch(batch: FrameBatch, options: Pick<SendOptions, "ttlMs"> = {}): Promise<void> {
    for (let i = 0; i < batch.count; i++) {
      this.send(Message.fromBatch(batch, i), options).catch((error: unknown) => this.reportError(asError(error)));
    }
    return Promise.resolve();
  }

  /** Gives back what the carrier holds. Called once. */
  protected abstract close(): Promise<void>;

  get state(): BusState {
    return this.#state;
  }

  get isConnected(): boolean {
    return this.#state === "connected";
  }

  /** Hands on received frames. The batch becomes the listeners' own. */
  protected deliver(batch: FrameBatch, channel: string): void {
    if (this.#state === "shutdown") return;
    if (batch.lost) this.reportLoss(batch.lost, channel);
    const passed = filterBatch(batch, this.#filters);
    if (passed.count === 0) return;
    this.#events.emit("batch", passed, { channel });
    const heard = this.#emitMessages(passed, channel);
    if (heard && !this.#pulled) return;
    const dropped = this.#queue.push(passed, channel);
    if (dropped > 0) this.reportLoss({ app: dropped }, channel);
  }

  /** @returns whether somebody listens, so that frames need not wait for `recv` unless it was called before */
  #emitMessages(batch: FrameBatch, channel: string): boolean {
    if (!this.#events.has("message")) return this.#events.has("batch");
    for (let i = 0; i < batch.count; i++) this.#events.emit("message", Message.fromBatch(batch, i, channel));
    return true;
  }

  protected reportLoss(lost: Losses, channel: string, range?: LostRange): void {
    this.#events.emit("loss", range ? { channel, lost, range } : { channel, lost });
  }

  protected reportError(error: Error): void {
    this.#events.emit("error", error);
  }

  protected connected(): void {
    if (this.#state !== "connecting") return;
    this.#state = "connected";
    this.#events.emit("connect");
  }

  protected disconnected(reason: string): void {
    if (this.#state !== "connected") return;
    this.#state = "connecting";
    this.#events.emit("disconnect", reason);
  }

  recv(options: RecvOptions = {}): Promise<Message | null> {
    this.#pulled = true;
    return this.#queue.take(options.timeoutMs);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Message> {
    for (let message = await this.recv(); message !== null; message = await this.recv()) yield message;
  }

  setFilters(filters: readonly CanFilter[]): void {
    this.#filters = [...filters];
  }

  clearReceiveBuffer(): void {
    this.#queue.clear();
  }

  sendPeriodic(message: Message, periodMs: number): PeriodicTask {
    if (!(periodMs >= 1)) throw new RangeError(`a period is at least 1 ms, got ${periodMs}`);
    let current = message;
    const sendNow = (): void => {
      this.send(current, { ttlMs: Math.min(periodMs, MAX_TTL_MS) }).catch((error: unknown) =>
        this.reportError(asError(error)),
      );
    };
    const timer = setInterval(sendNow, periodMs);
    const running = this.#periodic;
    const task: PeriodicTask = {
      get keptBy() {
        return running.has(task) ? "app" : undefined;
      },
      stop: () => {
        clearInterval(timer);
        running.delete(task);
      },
      modify: (changed) => {
        if (changed.idWord !== message.idWord) throw new RangeError("a periodic send keeps its arbitration id");
        current = changed;
      },
    };
    running.add(task);
    sendNow();
    return task;
  }

  async shutdown(): Promise<void> {
    if (this.#state === "shutdown") return;
    this.disconnected("shut down");
    this.#state = "shutdown";
    for (const task of [...this.#periodic]) task.stop();
    this.#queue.close();
    await this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** @throws CanfleetError `LINK_CLOSED` */
  protected assertOpen(): void {
    if (this.#state === "shutdown") throw new CanfleetError("LINK_CLOSED", "the bus was shut down");
  }

  on<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  once<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this {
    this.#events.once(event, listener);
    return this;
  }

  off<E extends keyof BusEvents>(event: E, listener: (...args: BusEvents[E]) => void): this {
    this.#events.off(event, listener);
    return this;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
