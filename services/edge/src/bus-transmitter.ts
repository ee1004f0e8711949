import { FLAG_ECHO, passesFilters, type CanFilter, type FrameBatch, type SendCode } from "@canfleet/sdk";
import type { CanInterface, SendRefusal } from "./can-interface.ts";
import type { RefusalReason, Refusals } from "./refusals.ts";
import { SendGate, type Denial, type SendLimits } from "./send-gate.ts";
import type { SendPolicy } from "./send-policy.ts";
import type { SendOrder, SendSource, Transmitter } from "./transmit.ts";

/** Frames that wait for the interface at most; the next one is refused with "no-buffer". */
const MAX_WAITING_FRAMES = 4096;
/** Pause before a full transmit queue is tried again, ms: the time of about 10 frames at 500 kbit/s. */
const RETRY_MS = 2;
/** How often frames without an echo are looked at, ms. */
const ECHO_CHECK_MS = 50;

const CODE_OF_REFUSAL: { [kind in SendRefusal["kind"]]: Exclude<SendCode, "sent"> } = {
  "no-buffer": "no-buffer",
  down: "bus-off",
  unsupported: "unsupported",
  failed: "failed",
};

const NAME_OF_SOURCE: { [source in SendSource]: string } = {
  link: "a host",
  guest: "a host that nobody named",
  mqtt: "an MQTT client",
  bridge: "a bridge",
};

interface Waiting {
  order: SendOrder;
  /** Next row to write. */
  row: number;
  /** Rows before it were let through: each is asked for once, because that counts towards its rate. */
  askedTo: number;
  /** Why row `askedTo` is not let through. */
  denial: Denial | undefined;
  /** On the monotonic clock, ms. */
  deadline: number;
}

interface AwaitedEcho {
  order: SendOrder;
  row: number;
  deadline: number;
}

/** What the transmitter did since it began, frames. */
export interface TransmitCounters {
  sent: number;
  refused: number;
}

/** What bounds a transmitter, and where it tells what it refused. */
export interface TransmitterOptions extends SendLimits {
  /** Default: refusals are counted together only. */
  refusals?: Refusals | undefined;
}

/**
 * The one way onto a bus. Keeps the order of what it is given, writes without waiting, tries again while the queue is
 * full, and answers each frame once: nothing is written after its time to live, nothing waits for a bus that is down.
 */
export class BusTransmitter implements Transmitter {
  readonly counters: TransmitCounters = { sent: 0, refused: 0 };
  readonly #can: CanInterface;
  readonly #gate: SendGate;
  readonly #refusals: Refusals | undefined;
  readonly #filters: readonly CanFilter[];
  readonly #waiting: Waiting[] = [];
  readonly #echoes: AwaitedEcho[] = [];
  #waitingFrames = 0;
  #retry: NodeJS.Timeout | undefined;
  #echoCheck: NodeJS.Timeout | undefined;

  /**
   * @param policy what may be sent; or a gate that is asked by several, with limits of its own
   * @param filters those of the interface: an echo that does not pass them is never seen, so it is not waited for
   */
  constructor(
    can: CanInterface,
    policy: SendPolicy | SendGate,
    filters: readonly CanFilter[],
    options: TransmitterOptions = {},
  ) {
    this.#can = can;
    this.#gate = policy instanceof SendGate ? policy : new SendGate(policy, options);
    this.#refusals = options.refusals;
    this.#filters = filters;
  }

  /** Who decides; whoever else puts frames on this bus asks there, too. */
  get gate(): SendGate {
    return this.#gate;
  }

  submit(order: SendOrder): void {
    const deadline = performance.now() + order.ttlMs;
    const free = MAX_WAITING_FRAMES - this.#waitingFrames;
    if (order.frames.count > free) {
      this.#refuseRows(order, 0, "no-buffer");
      return;
    }
    this.#waitingFrames += order.frames.count;
    this.#waiting.push({ order, row: 0, askedTo: 0, denial: undefined, deadline });
    if (this.#retry === undefined) this.#pump();
  }

  /** Writes what can be written now. */
  #pump(): void {
    this.#retry = undefined;
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (first.row === first.order.frames.count) {
        this.#waiting.shift();
      } else if (performance.now() >= first.deadline) {
        this.#refuseRest(first, "expired");
      } else if (this.#gate.isOff) {
        this.#refuseRest(first, "denied", "off");
      } else if (!this.#writeSome(first)) {
        this.#retry = setTimeout(() => this.#pump(), RETRY_MS);
        return;
      }
    }
  }

  /** @returns false when the transmit queue is full */
  #writeSome(waiting: Waiting): boolean {
    const { order } = waiting;
    const end = this.#allowedUpTo(waiting);
    if (end === waiting.row) {
      this.#step(waiting, "denied", waiting.denial);
      waiting.denial = undefined;
      return true;
    }
    const run = end === order.frames.count ? order.frames : order.frames.clone(0, end);
    const { accepted, refusal } = this.#can.send(run, waiting.row);
    for (let i = 0; i < accepted; i++) this.#written(waiting);
    if (!refusal) return true;
    if (refusal.kind === "no-buffer") return false;
    if (refusal.kind === "down") this.#refuseRest(waiting, "bus-off");
    else this.#step(waiting, CODE_OF_REFUSAL[refusal.kind]);
    return true;
  }

  /** First row from the next one on that may not be sent. */
  #allowedUpTo(waiting: Waiting): number {
    const { order, row } = waiting;
    waiting.askedTo = Math.max(waiting.askedTo, row);
    while (waiting.askedTo < order.frames.count && waiting.denial === undefined) {
      waiting.denial = this.#gate.ask(order.source, order.frames, waiting.askedTo);
      if (waiting.denial === undefined) waiting.askedTo++;
    }
    return waiting.askedTo;
  }

  #written(waiting: Waiting): void {
    const { order, row, deadline } = waiting;
    waiting.row++;
    this.#waitingFrames--;
    this.counters.sent++;
    const seen =
      this.#can.capabilities.ownFrames === "marked" && passesFilters(this.#filters, order.frames.idWord[row]!);
    if (!seen) {
      order.settled?.(row, "sent", undefined);
      return;
    }
    this.#echoes.push({ order, row, deadline });
    this.#echoCheck ??= setTimeout(() => this.#dropLateEchoes(), ECHO_CHECK_MS);
  }

  /** Answers the next row of an order and goes on behind it. */
  #step(waiting: Waiting, code: Exclude<SendCode, "sent">, reason?: RefusalReason): void {
    const row = waiting.row++;
    this.#waitingFrames--;
    this.#refuse(waiting.order, row, code, reason);
  }

  #refuseRest(waiting: Waiting, code: Exclude<SendCode, "sent">, reason?: RefusalReason): void {
    while (waiting.row < waiting.order.frames.count) this.#step(waiting, code, reason);
  }

  #refuseRows(order: SendOrder, from: number, code: Exclude<SendCode, "sent">): void {
    for (let row = from; row < order.frames.count; row++) this.#refuse(order, row, code);
  }

  #refuse(order: SendOrder, row: number, code: Exclude<SendCode, "sent">, reason?: RefusalReason): void {
    this.counters.refused++;
    const why = reason ?? (code === "denied" ? "list" : code);
    this.#refusals?.add(order.by ?? NAME_OF_SOURCE[order.source], why, 1);
    order.settled?.(row, code, undefined);
  }

  /** Looks for the echoes of sent frames in what was received: they come in the order in which they were written. */
  observe(batch: FrameBatch): void {
    if (this.#echoes.length === 0) return;
    for (let i = 0; i < batch.count; i++) {
      if (batch.flags[i]! & FLAG_ECHO) this.#matchEcho(batch, i);
    }
  }

  #matchEcho(batch: FrameBatch, i: number): void {
    const at = this.#echoes.findIndex(
      ({ order, row }) => order.frames.idWord[row] === batch.idWord[i] && order.frames.length[row] === batch.length[i],
    );
    if (at < 0) return;
    const [{ order, row }] = this.#echoes.splice(at, 1) as [AwaitedEcho];
    order.settled?.(row, "sent", batch.timestampUs[i]);
  }

  /** A frame whose echo did not come in time is in the controller's queue, not known to be on the bus. */
  #dropLateEchoes(): void {
    this.#echoCheck = undefined;
    const now = performance.now();
    // One check interval on top: the echo may be in the receive queue already.
    while (this.#echoes[0] && this.#echoes[0].deadline + ECHO_CHECK_MS <= now) {
      const { order, row } = this.#echoes.shift()!;
      order.settled?.(row, "expired", undefined);
    }
    if (this.#echoes.length > 0) this.#echoCheck = setTimeout(() => this.#dropLateEchoes(), ECHO_CHECK_MS);
  }

  /** The bus went down or away: nothing that waits may be sent when it comes back. */
  linkLost(): void {
    for (const waiting of this.#waiting.splice(0)) this.#refuseRest(waiting, "bus-off");
    for (const { order, row } of this.#echoes.splice(0)) order.settled?.(row, "bus-off", undefined);
  }

  close(): void {
    this.linkLost();
    clearTimeout(this.#retry);
    clearTimeout(this.#echoCheck);
  }
}
