import type { BatchHeader, GoneRange } from "../wire/batch-notes.ts";
import { readBatchHeader } from "../wire/batch-notes.ts";
import { OpenEnds } from "../open-ends.ts";
import { EpochOrder, type EpochSink } from "./epoch-order.ts";

export interface CompleteOrderOptions {
  /** Bytes of batches that came before their turn, all buses together. Default 64 MiB. */
  holdBytes?: number;
  /** A gap is asked for when nothing came for this long, ms. Default 300. */
  askAfterMs?: number;
  /** A gap in which nothing moved for this long, while the bus was heard, is stated as lost, ms. Default 5,000. */
  giveUpMs?: number;
  /** The same while nothing is heard of the bus, since its edge or the hub may come back with it, ms. Default 60,000. */
  awayMs?: number;
}

/** Where the order puts what it decides. */
export interface OrderOutput {
  /** The batch's frames from number `skip` on are due. */
  deliver(channel: string, payload: Uint8Array, skip: number): void;
  lost(channel: string, range: GoneRange): void;
  /** The end of an epoch was missed, and with it nobody knows how many frames. */
  endMissed(channel: string): void;
  /** Frames are missing; the edge may still have them. */
  ask(channel: string, epoch: number, from: number, to: number): void;
}

interface Channel {
  /** The epoch that was heard live first: later ones are owed from their first frame. */
  firstEpoch: number | undefined;
  epochs: Map<number, EpochOrder>;
  /** When something last came of it, ms. */
  heardAtMs: number;
  /** Nothing came of it since the way to the hub was interrupted. */
  isCut: boolean;
  /** When it was heard again after a silence, ms. */
  backAtMs: number;
}

const DEFAULTS: Required<CompleteOrderOptions> = {
  holdBytes: 64 * 1024 * 1024,
  askAfterMs: 300,
  giveUpMs: 5_000,
  awayMs: 60_000,
};
/** A bus of which nothing came for this long is away: nobody there can fill a gap meanwhile, ms. */
const SILENT_MS = 2_000;
/** A gap that was asked for is asked for again after this, ms. */
const ASK_AGAIN_MS = 1_000;
/** Gaps of one epoch that are asked for at a time. */
const MAX_ASKS = 8;
/** Buses that are followed, and epochs of one bus: strangers' messages cannot fill the memory. */
const MAX_CHANNELS = 10_000;
const MAX_EPOCHS = 256;
/** Where frames are lost of which nobody says more. */
const PLACE_UNKNOWN = "hub";

/**
 * Makes one complete sequence of what comes live and as backfill (docs/reliability.md, 4): everything in order and once,
 * or stated as lost. It keeps no clock of its own: each call says what time it is.
 */
export class CompleteOrder {
  readonly #options: Required<CompleteOrderOptions>;
  readonly #output: OrderOutput;
  readonly #channels = new Map<string, Channel>();
  readonly #ends = new OpenEnds();
  /** Orders that wait for something. */
  readonly #waiting = new Map<EpochOrder, string>();
  #heldBytes = 0;

  constructor(output: OrderOutput, options: CompleteOrderOptions = {}) {
    this.#output = output;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Bytes of batches that wait for their turn. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Takes in a batch.
   *
   * @param payload kept until its turn
   * @param nowMs time of a clock that never steps
   * @throws CanfleetError `WIRE_BAD_BATCH`
   */
  accept(channel: string, payload: Uint8Array, isLive: boolean, nowMs: number): void {
    const header = readBatchHeader(payload);
    const order = this.#orderOf(channel, header, isLive, nowMs);
    if (!order) return;
    if (isLive && this.#ends.heard(channel, header.epoch)) this.#output.endMissed(channel);
    const { seq, count, held } = header;
    if (held !== undefined && isLive) order.promised(held, nowMs);
    this.#change(channel, order, () => order.accept({ seq, end: seq + count, payload }, nowMs));
    for (const range of header.gone ?? []) this.gone(channel, range, nowMs);
    this.#stayWithinBounds();
  }

  /** The way to the hub was interrupted: what comes next may be of a later epoch, and nothing could come meanwhile. */
  cut(): void {
    this.#ends.cut();
    for (const channel of this.#channels.values()) channel.isCut = true;
  }

  /** Takes in a range that the edge has given up. */
  gone(channel: string, range: GoneRange, nowMs: number): void {
    const known = this.#channels.get(channel);
    if (!known) return;
    heard(known, nowMs);
    const order = known.epochs.get(range.epoch) ?? this.#lateEpoch(channel, known, range, nowMs);
    if (order) this.#change(channel, order, () => order.gone(range, nowMs));
  }

  /** An epoch of which the first thing heard is a loss. */
  #lateEpoch(channel: string, known: Channel, { epoch }: GoneRange, nowMs: number): EpochOrder | undefined {
    return isAfter(epoch, known.firstEpoch) ? this.#begin(channel, known, epoch, 0, nowMs) : undefined;
  }

  /** Asks for and gives up what waits; to be called some times a second. */
  tick(nowMs: number): void {
    const { askAfterMs } = this.#options;
    for (const [order, channel] of this.#waiting) {
      while (order.gap && this.#isHopeless(order, this.#channels.get(channel)!, nowMs)) {
        this.#change(channel, order, () => order.giveUp(PLACE_UNKNOWN));
      }
      for (const [from, to] of order.takeAsks(nowMs, askAfterMs, ASK_AGAIN_MS, MAX_ASKS)) {
        this.#output.ask(channel, order.epoch, from, to);
      }
    }
  }

  /** Time in which the bus was away does not count against what it has still to send. */
  #isHopeless({ waitingSinceMs }: EpochOrder, { heardAtMs, backAtMs, isCut }: Channel, nowMs: number): boolean {
    const { giveUpMs, awayMs } = this.#options;
    if (isCut || nowMs - heardAtMs > SILENT_MS) return nowMs - Math.max(waitingSinceMs, heardAtMs) >= awayMs;
    return nowMs - Math.max(waitingSinceMs, backAtMs) >= giveUpMs;
  }

  /** Ends the waiting: delivers what is held and states every gap before it as lost, as nobody will fill it any more. */
  finish(): void {
    for (const [order, channel] of this.#waiting) {
      while (order.gap) this.#change(channel, order, () => order.giveUp(PLACE_UNKNOWN));
    }
  }

  #orderOf(channel: string, header: BatchHeader, isLive: boolean, nowMs: number): EpochOrder | undefined {
    const { epoch, seq, held } = header;
    let known = this.#channels.get(channel);
    if (!known) {
      if (this.#channels.size >= MAX_CHANNELS) return undefined;
      known = { firstEpoch: undefined, epochs: new Map(), heardAtMs: nowMs, isCut: false, backAtMs: nowMs };
      this.#channels.set(channel, known);
    }
    heard(known, nowMs);
    const owedFromStart = isLive ? known.firstEpoch !== undefined : isAfter(epoch, known.firstEpoch);
    if (isLive) known.firstEpoch ??= epoch;
    const owedFrom = owedFromStart ? 0 : Math.min(seq, held ?? seq);
    return known.epochs.get(epoch) ?? this.#begin(channel, known, epoch, owedFrom, nowMs);
  }

  #begin(channel: string, known: Channel, epoch: number, next: number, nowMs: number): EpochOrder {
    for (const [oldest, order] of known.epochs) {
      if (known.epochs.size < MAX_EPOCHS) break;
      while (order.gap) this.#change(channel, order, () => order.giveUp(PLACE_UNKNOWN));
      known.epochs.delete(oldest);
    }
    const sink: EpochSink = {
      deliver: (payload, skip) => this.#output.deliver(channel, payload, skip),
      lost: (from, to, place) => this.#output.lost(channel, { epoch, from, to, place }),
    };
    const order = new EpochOrder(epoch, next, sink, nowMs);
    known.epochs.set(epoch, order);
    return order;
  }

  /** Runs a change and keeps the books about what it left waiting. */
  #change(channel: string, order: EpochOrder, change: () => unknown): void {
    const before = order.heldBytes;
    change();
    this.#heldBytes += order.heldBytes - before;
    if (order.gap) this.#waiting.set(order, channel);
    else this.#waiting.delete(order);
  }

  /** The farthest batches go first: they are the last to be due, and can be asked for again. */
  #stayWithinBounds(): void {
    while (this.#heldBytes > this.#options.holdBytes) {
      let fullest: EpochOrder | undefined;
      for (const order of this.#waiting.keys()) {
        if (!fullest || order.heldBytes > fullest.heldBytes) fullest = order;
      }
      if (!fullest) return;
      const order = fullest;
      this.#change(this.#waiting.get(order)!, order, () => order.letGo());
    }
  }
}

function heard(channel: Channel, nowMs: number): void {
  if (channel.isCut || nowMs - channel.heardAtMs > SILENT_MS) channel.backAtMs = nowMs;
  channel.heardAtMs = nowMs;
  channel.isCut = false;
}

function isAfter(epoch: number, first: number | undefined): boolean {
  return first !== undefined && epoch > first;
}
