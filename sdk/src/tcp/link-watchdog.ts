import { AckWatch, type WatchedSocket } from "./ack-watch.ts";
import type { LinkTiming } from "./link-timing.ts";

export interface WatchdogOptions {
  socket: WatchedSocket;
  timing: LinkTiming;
  /** How long bytes have waited without being taken, ms. */
  stalledMs: (nowMs: number) => number;
  /** Nothing was sent for a while on an extended link. */
  onHeartbeat: () => void;
  /** The peer is dead. `reason` is for people. */
  onDead: (reason: string) => void;
}

/** Looks at what the kernel holds, in the time after which a peer counts as dead that acknowledges none of it. */
const LOOKS = 10;
/** From so long without an acknowledgement on, the way counts as stalled, ms. */
const STALLED_MS = 2_000;

/**
 * Finds a peer that is no longer there: by its silence on the extended link, by bytes that it does not acknowledge on a
 * record link, by bytes that nobody takes on any.
 */
export class LinkWatchdog {
  readonly #options: WatchdogOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #periodMs: number;
  #lastTickMs = performance.now();
  #lastReceivedMs = this.#lastTickMs;
  #lastSentMs = this.#lastTickMs;
  #lookedAtMs = this.#lastTickMs;
  #lateUntilMs = -Infinity;
  readonly #acks: AckWatch;
  /** Whether both ends send heartbeats. */
  isExtended = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#acks = new AckWatch(options.socket);
    this.#periodMs = Math.max(1, options.timing.heartbeatMs / 4);
    this.#timer = setInterval(() => this.#tick(performance.now()), this.#periodMs);
  }

  /** Something came from the peer. */
  received(): void {
    this.#lastReceivedMs = performance.now();
  }

  /** Something was sent. */
  sent(): void {
    this.#lastSentMs = performance.now();
  }

  /** How long nothing came, ms. */
  get silentMs(): number {
    return performance.now() - this.#lastReceivedMs;
  }

  /**
   * Whether what comes now on a record link may have been held up: nothing that was sent there was acknowledged for 2 s
   * or more, or that was so not longer ago than it lasted, as the peer repeats what was lost ever more seldom.
   */
  get mayBeLate(): boolean {
    return performance.now() < this.#lateUntilMs;
  }

  #tick(nowMs: number): void {
    const { timing } = this.#options;
    const { unackedMs } = this.#acks;
    if (unackedMs >= STALLED_MS) this.#lateUntilMs = nowMs + unackedMs;
    const sinceTickMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    if (sinceTickMs > timing.silenceMs / 2) {
      // This process did not run; what the peer sent meanwhile is still to be read.
      this.#lastReceivedMs = nowMs;
    }
    if (!this.isExtended && nowMs - this.#lookedAtMs >= timing.stallMs / LOOKS) {
      this.#lookedAtMs = nowMs;
      void this.#acks.look(nowMs);
    }
    if (this.#options.stalledMs(nowMs) > timing.stallMs) {
      this.#options.onDead(`it took nothing for ${timing.stallMs / 1000} s`);
    } else if (!this.isExtended && unackedMs > timing.stallMs) {
      this.#options.onDead(`it acknowledged nothing for ${timing.stallMs / 1000} s`);
    } else if (this.isExtended && nowMs - this.#lastReceivedMs > timing.silenceMs) {
      this.#options.onDead(`it was silent for ${timing.silenceMs / 1000} s`);
    } else if (this.isExtended && nowMs - this.#lastSentMs >= timing.heartbeatMs - this.#periodMs / 2) {
      this.#lastSentMs = nowMs;
      this.#options.onHeartbeat();
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
