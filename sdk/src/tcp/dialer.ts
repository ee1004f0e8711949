import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { CanfleetError } from "../errors.ts";
import { proveToken, type LinkRole } from "./link-proof.ts";
import {
  assertLinkSecurity,
  certificateNameOf,
  linkError,
  text,
  type LinkPeer,
  type LinkSecurity,
  type LinkTls,
} from "./link-security.ts";
import { KEEP_ALIVE_DELAY_MS, type LinkTiming } from "./link-timing.ts";

export interface DialerOptions extends LinkSecurity {
  host: string;
  port: number;
  /** This end's, which says who speaks first. */
  role: LinkRole;
  timing: LinkTiming;
  /** A connection was made, and shows all that was asked; the next attempt follows once its socket has closed. */
  onPeer: (peer: LinkPeer) => void;
  /** An attempt failed; `LINK_REFUSED`: for a reason that stays until somebody changes something. */
  onFailed: (error: CanfleetError) => void;
}

/** Connects, and connects again for ever: at once, then after growing waits with some chance in them. */
export class Dialer {
  readonly #options: DialerOptions;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isClosed = false;
  /** Whether the socket was handed over. */
  #isOpen = false;

  /** @throws CanfleetError `CONFIG_INVALID` for certificates or a token that cannot be used */
  constructor(options: DialerOptions) {
    this.#options = options;
    assertLinkSecurity(options, false);
  }

  start(): void {
    this.#dial();
  }

  #dial(): void {
    const { host, port, timing, tls } = this.#options;
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS });
    this.#socket = socket;
    this.#isOpen = false;
    const attempt: Attempt = { openedMs: NaN, isTold: false };
    const giveUp = setTimeout(
      () => socket.destroy(new Error(`no answer within ${timing.connectTimeoutMs} ms`)),
      timing.connectTimeoutMs,
    );
    socket.once("connect", () => {
      if (tls) this.#encrypt(socket, tls, attempt, () => clearTimeout(giveUp));
      else {
        clearTimeout(giveUp);
        this.#prove(socket, attempt);
      }
    });
    socket.on("error", (error: Error) => this.#tell(attempt, error));
    socket.once("close", () => {
      clearTimeout(giveUp);
      // A peer that takes connections only to close them must not be dialled in a tight circle.
      const hasLived = performance.now() - attempt.openedMs >= timing.firstRetryMs;
      this.#failures = hasLived ? 0 : this.#failures + 1;
      this.#dialLater();
    });
  }

  #encrypt(socket: Socket, tls: LinkTls, attempt: Attempt, done: () => void): void {
    const { host } = this.#options;
    const { ca, cert, key, servername = isIP(host) === 0 ? host : undefined } = tls;
    const encrypted = connectTls({
      socket,
      host,
      ...(servername !== undefined && { servername }),
      ...(ca !== undefined && { ca: text(ca) }),
      ...(cert !== undefined && key !== undefined && { cert: text(cert), key: text(key) }),
      minVersion: "TLSv1.2",
    });
    this.#socket = encrypted;
    encrypted.on("error", (error: Error) => this.#tell(attempt, error));
    encrypted.once("close", () => {
      this.#tell(attempt, new Error("the connection was closed before TLS began: a plain port?"));
      socket.destroy();
    });
    encrypted.once("secureConnect", () => {
      done();
      this.#prove(encrypted, attempt);
    });
  }

  #prove(socket: Socket, attempt: Attempt): void {
    const { role, token, timing } = this.#options;
    const opened = (proven: Uint8Array | undefined): void => {
      attempt.openedMs = performance.now();
      this.#isOpen = true;
      this.#options.onPeer({ socket, proven, certificateName: certificateNameOf(socket) });
    };
    if (token === undefined) opened(undefined);
    else {
      proveToken(socket, { role, token, timeoutMs: timing.handshakeMs }, opened, (error: Error) =>
        this.#tell(attempt, error),
      );
    }
  }

  /** The first reason counts; once the connection is handed over, what becomes of it is its owner's. */
  #tell(attempt: Attempt, error: Error): void {
    if (!Number.isNaN(attempt.openedMs) || attempt.isTold || this.#isClosed) return;
    attempt.isTold = true;
    this.#options.onFailed(linkError(error));
  }

  #dialLater(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#dial(), retryDelayMs(this.#failures, this.#options.timing));
  }

  /** Ends the attempts; a connection that is there stays. */
  stop(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (!this.#isOpen) this.#socket?.destroy();
  }

  /** Ends the attempts and the connection. */
  close(): void {
    this.stop();
    this.#socket?.destroy();
  }
}

/** One attempt to connect. */
interface Attempt {
  /** When the connection was handed over; NaN before. */
  openedMs: number;
  /** Whether somebody was told why it failed. */
  isTold: boolean;
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
