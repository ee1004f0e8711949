import { connect, type Socket } from "node:net";
import { KEEP_ALIVE_DELAY_MS, type LinkTiming } from "./link-timing.ts";

export interface DialerOptions {
  host: string;
  port: number;
  timing: LinkTiming;
  /** A connection was made; the next attempt follows once the socket has closed. */
  onSocket: (socket: Socket) => void;
  /** An attempt failed. */
  onFailed: (error: Error) => void;
}

/** Connects, and connects again for ever: at once, then after growing waits with some chance in them. */
export class Dialer {
  readonly #options: DialerOptions;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#dial();
  }

  #dial(): void {
    const { host, port, timing } = this.#options;
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS });
    this.#socket = socket;
    let connectedMs = NaN;
    const giveUp = setTimeout(
      () => socket.destroy(new Error(`no answer within ${timing.connectTimeoutMs} ms`)),
      timing.connectTimeoutMs,
    );
    socket.once("connect", () => {
      clearTimeout(giveUp);
      connectedMs = performance.now();
      this.#options.onSocket(socket);
    });
    socket.on("error", (error) => {
      if (Number.isNaN(connectedMs) && !this.#isClosed) this.#options.onFailed(error);
    });
    socket.once("close", () => {
      clearTimeout(giveUp);
      // A peer that takes connections only to close them must not be dialled in a tight circle.
      const hasLived = performance.now() - connectedMs >= timing.firstRetryMs;
      this.#failures = hasLived ? 0 : this.#failures + 1;
      this.#dialLater();
    });
  }

  #dialLater(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#dial(), retryDelayMs(this.#failures, this.#options.timing));
  }

  /** Ends the attempts; a connection that is there stays. */
  stop(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (this.#socket?.connecting) this.#socket.destroy();
  }

  /** Ends the attempts and the connection. */
  close(): void {
    this.stop();
    this.#socket?.destroy();
  }
}

/**
 * Wait before the next attempt, ms: none after a connection that had worked, else doubling, ± 25 % so that many peers
 * of one that restarts do not come back in the same moment.
 *
 * @param random 0 up to (not including) 1
 */
export function retryDelayMs(
  failures: number,
  timing: Pick<LinkTiming, "firstRetryMs" | "maxRetryMs">,
  random = Math.random(),
): number {
  if (failures === 0) return 0;
  return Math.min(timing.maxRetryMs, timing.firstRetryMs * 2 ** (failures - 1)) * (0.75 + random / 2);
}
