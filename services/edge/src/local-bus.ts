import {
  BaseBus,
  FrameBatch,
  sendError,
  type BaseBusOptions,
  type Message,
  type SendCode,
  type SendOptions,
  type SendResult,
} from "@canfleet/sdk";
import { BusTransmitter } from "./bus-transmitter.ts";
import type { CanInterface, LinkState } from "./can-interface.ts";
import type { Refusals } from "./refusals.ts";
import type { SendGate } from "./send-gate.ts";
import { parseSendPolicy } from "./send-policy.ts";

const DEFAULT_TTL_MS = 500;

export interface LocalBusOptions extends BaseBusOptions {
  /** The interface went down, away, or came back. */
  onLink?: (state: LinkState, reason: string) => void;
  onWarning?: (text: string) => void;
  /** A bus that has an end (a log that is played once) has ended. */
  onEnd?: () => void;
  /** Who decides what may be sent. Default: everything may, since whoever can open the interface may send anyway. */
  guard?: SendGuard | undefined;
}

/** Who decides what one sender may put on a bus, and where it is told what may not. */
export interface SendGuard {
  gate: SendGate;
  refusals: Refusals;
  /** Who sends, for logs. */
  by: string;
}

/** A bus of this machine behind the SDK's API: what the command line and bridges use where no edge is between. */
export class LocalBus extends BaseBus {
  readonly channel: string;
  readonly #can: CanInterface;
  readonly #transmitter: BusTransmitter;
  readonly #guard: SendGuard | undefined;
  readonly #epoch = Date.now() * 1000;
  #seq = 0;
  #lost: { kernel: number | null } | undefined;

  private constructor(can: CanInterface, options: LocalBusOptions) {
    super(options);
    this.#can = can;
    this.channel = can.channel;
    this.#guard = options.guard;
    const policy = options.guard?.gate ?? parseSendPolicy("all");
    const { refusals } = options.guard ?? {};
    this.#transmitter = new BusTransmitter(can, policy, options.filters ?? [], { refusals });
  }

  /** @throws CanfleetError `CAN_*` when the bus cannot be opened */
  static async open(can: CanInterface, options: LocalBusOptions = {}): Promise<LocalBus> {
    const bus = new LocalBus(can, options);
    if (options.filters?.length) can.setFilters(options.filters);
    await can.open({
      frames: (batch) => bus.#onFrames(batch),
      lost: (frames) => bus.#onLost(frames),
      link: (state, reason) => bus.#onLink(state, reason, options),
      warning: (text) => options.onWarning?.(text),
      end: () => options.onEnd?.(),
    });
    bus.connected();
    return bus;
  }

  #onFrames(batch: FrameBatch): void {
    this.#transmitter.observe(batch);
    const owned = batch.clone();
    owned.epoch = this.#epoch;
    owned.seq = this.#seq;
    owned.lost = this.#lost;
    this.#seq += batch.count;
    this.#lost = undefined;
    this.deliver(owned, this.channel);
  }

  #onLost(frames: number | null): void {
    const before = this.#lost?.kernel ?? 0;
    this.#lost = { kernel: frames === null || this.#lost?.kernel === null ? null : before + frames };
  }

  #onLink(state: LinkState, reason: string, options: LocalBusOptions): void {
    if (state === "up") this.connected();
    else {
      this.#transmitter.linkLost();
      this.disconnected(reason);
    }
    options.onLink?.(state, reason);
  }

  async send(message: Message, options: SendOptions = {}): Promise<SendResult> {
    const frames = FrameBatch.of(message.toParts());
    const settled = new Promise<SendResult>((resolve, reject) => {
      this.#submit(frames, options.ttlMs, (_row, code, timestampUs) => {
        if (code === "sent") resolve({ timestampUs });
        else reject(sendError(code, this.channel));
      });
    });
    if (options.confirm) return settled;
    settled.catch((error: unknown) => this.reportError(error as Error));
    return { timestampUs: undefined };
  }

  override sendBatch(batch: FrameBatch, options: Pick<SendOptions, "ttlMs"> = {}): Promise<void> {
    this.#submit(batch.clone(), options.ttlMs, (_row, code) => {
      if (code !== "sent") this.reportError(sendError(code, this.channel));
    });
    return Promise.resolve();
  }

  #submit(
    frames: FrameBatch,
    ttlMs: number | undefined,
    settled: (row: number, code: SendCode, timestampUs: number | undefined) => void,
  ): void {
    this.assertOpen();
    const by = this.#guard && { by: this.#guard.by };
    this.#transmitter.submit({ frames, source: "bridge", ...by, ttlMs: ttlMs ?? DEFAULT_TTL_MS, settled });
  }

  protected async close(): Promise<void> {
    await this.#can.close();
    this.#transmitter.close();
  }
}
