import type { BusSpec } from "@canfleet/edge";
import { CanfleetError, isCanfleetError, type Message } from "@canfleet/sdk";
import { readBus } from "./bus-spec.ts";
import { FrameSender } from "./frame-sender.ts";
import type { OpenedBus } from "./open-bus.ts";
import { assertOneBus } from "./sendable.ts";

/** `TO=FROM`: lines of interface `from` go to a bus; undefined: all lines. */
export interface Assignment {
  to: BusSpec;
  from: string | undefined;
}

/**
 * Reads `TO=FROM`, or `TO` alone.
 *
 * @throws UsageError
 */
export function parseAssignment(text: string): Assignment {
  // The last one: a file's name in play:FILE may hold a =.
  const at = text.lastIndexOf("=");
  const to = readBus(at < 0 ? text : text.slice(0, at));
  assertOneBus(to);
  return { to, from: at < 0 ? undefined : text.slice(at + 1) };
}

/** Where the lines of a log go. */
export class PlayTargets {
  /** Lines that no assignment wanted, by interface. */
  readonly unwanted = new Map<string, number>();
  readonly #assigned: { from: string | undefined; sender: FrameSender }[] = [];
  readonly #opened: OpenedBus[] = [];
  readonly #local = new Map<string, FrameSender>();
  readonly #open: (spec: BusSpec) => Promise<OpenedBus>;

  constructor(open: (spec: BusSpec) => Promise<OpenedBus>) {
    this.#open = open;
  }

  get opened(): readonly OpenedBus[] {
    return this.#opened;
  }

  /** Opens the bus of an assignment. */
  async assign({ to, from }: Assignment): Promise<void> {
    this.#assigned.push({ from, sender: await this.#sender(to) });
  }

  /** Sends a frame to every bus that its line is for; without assignments to the local interface of its name. */
  async send(channel: string, message: Message): Promise<boolean> {
    if (this.#assigned.length === 0) {
      (await this.#localSender(channel)).send(message);
      return true;
    }
    let wanted = false;
    for (const { from, sender } of this.#assigned) {
      if (from !== undefined && from !== channel) continue;
      sender.send(message);
      wanted = true;
    }
    if (!wanted) this.unwanted.set(channel, (this.unwanted.get(channel) ?? 0) + 1);
    return wanted;
  }

  async #localSender(channel: string): Promise<FrameSender> {
    let sender = this.#local.get(channel);
    if (!sender) {
      sender = await this.#sender(readBus(channel)).catch((error: unknown) => {
        if (!isCanfleetError(error, "CAN_NO_SUCH_INTERFACE")) throw error;
        throw new CanfleetError(error.code, `${error.message}; say where its lines go: TO=${channel}`, {
          cause: error,
        });
      });
      this.#local.set(channel, sender);
    }
    return sender;
  }

  async #sender(spec: BusSpec): Promise<FrameSender> {
    const opened = await this.#open(spec);
    this.#opened.push(opened);
    return new FrameSender(opened.bus, spec);
  }

  #senders(): FrameSender[] {
    return [...this.#assigned.map(({ sender }) => sender), ...this.#local.values()];
  }

  /** Frames that did not get onto their bus. */
  get refused(): number {
    return this.#senders().reduce((sum, { refused }) => sum + refused, 0);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#senders().map((sender) => sender.drain()));
  }

  /** @throws what the first refused frame was refused with */
  throwIfRefused(): void {
    for (const sender of this.#senders()) sender.throwIfRefused();
  }
}
