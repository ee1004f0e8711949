import type { BusSpec } from "@canfleet/edge";
import type { Bus, Message } from "@canfleet/sdk";

/** How long a frame may wait for its turn on the bus, ms. */
const TTL_MS = 500;

/** Sends frame after frame to one bus and keeps in mind what was refused. */
export class FrameSender {
  /** Frames that did not get onto the bus, as far as the bus tells. */
  refused = 0;
  readonly #bus: Bus;
  readonly #confirms: boolean;
  readonly #pending = new Set<Promise<void>>();
  #firstRefusal: unknown;

  constructor(bus: Bus, { place }: BusSpec) {
    this.#bus = bus;
    // Records of a raw link have no answers; see docs/wire-tcp.md 1.3.
    this.#confirms = place.kind !== "listen" && place.kind !== "dial";
    // Nobody takes the frames that come in meanwhile: without a listener they would wait in a queue.
    bus.on("batch", () => undefined);
    bus.on("error", (error) => this.#refuse(error));
  }

  /** Hands a frame to the bus without waiting for what becomes of it. */
  send(frame: Message): void {
    const sent = this.#bus.send(frame, { ttlMs: TTL_MS, confirm: this.#confirms }).then(
      () => undefined,
      (error: unknown) => this.#refuse(error),
    );
    this.#pending.add(sent);
    void sent.then(() => this.#pending.delete(sent));
  }

  #refuse(error: unknown): void {
    this.refused++;
    this.#firstRefusal ??= error;
  }

  /** Waits until every frame was answered, where this carrier answers. */
  async drain(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** @throws what the first refused frame was refused with */
  throwIfRefused(): void {
    if (this.refused > 0) throw this.#firstRefusal;
  }
}
