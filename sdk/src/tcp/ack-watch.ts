import type { Socket } from "node:net";
import { readKernelQueue, type KernelQueue } from "./kernel-queue.ts";

/** What is watched of a socket. */
export type WatchedSocket = Pick<
  Socket,
  "bytesWritten" | "writableLength" | "localPort" | "remoteAddress" | "remotePort" | "destroyed"
>;

/**
 * Notices that a peer acknowledges nothing any more of what is under way to it. The kernel itself gives up after a
 * quarter of an hour, Node cannot tell it to do so earlier (`TCP_USER_TIMEOUT`), and meanwhile it asks no keepalive.
 */
export class AckWatch {
  readonly #socket: WatchedSocket;
  readonly #read: (socket: WatchedSocket) => Promise<KernelQueue | undefined>;
  #isLooking = false;
  /** Bytes that had been written when the peer had acknowledged everything. */
  #settledBytes = 0;
  /** Most bytes that the peer is known to have acknowledged. */
  #ackedBytes = 0;
  #waitingSinceMs: number | undefined;
  #lookedAtMs = 0;

  /** @param read what the kernel holds of the socket; undefined: not known */
  constructor(socket: WatchedSocket, read = readKernelQueue) {
    this.#socket = socket;
    this.#read = read;
  }

  /**
   * How long something was under way and nothing was acknowledged, up to the last look, ms; 0: nothing is. Time in which
   * this process did not run does not count before it has looked again.
   */
  get unackedMs(): number {
    return this.#waitingSinceMs === undefined ? 0 : this.#lookedAtMs - this.#waitingSinceMs;
  }

  /**
   * Looks at the connection, unless nothing was written since everything was acknowledged; to be called now and then.
   *
   * @param nowMs a monotonic clock
   */
  async look(nowMs: number): Promise<void> {
    const { bytesWritten, writableLength, destroyed } = this.#socket;
    if (this.#isLooking || destroyed || bytesWritten === this.#settledBytes) return;
    this.#isLooking = true;
    try {
      const queue = await this.#read(this.#socket);
      // The table is not read in one piece: a connection can be missing in it once.
      if (!queue) return;
      this.#lookedAtMs = nowMs;
      this.#enter(queue, bytesWritten, bytesWritten - writableLength);
    } finally {
      this.#isLooking = false;
    }
  }

  /** @param handedBytes what the kernel had at least when it was asked: it can have more by the time it answers */
  #enter({ unacked, isPeerFull }: KernelQueue, writtenBytes: number, handedBytes: number): void {
    if (unacked === 0 && handedBytes === writtenBytes) this.#settledBytes = writtenBytes;
    const ackedBytes = handedBytes - unacked;
    const isAlive = unacked === 0 || isPeerFull || ackedBytes > this.#ackedBytes;
    this.#ackedBytes = Math.max(this.#ackedBytes, ackedBytes);
    if (isAlive) this.#waitingSinceMs = undefined;
    else this.#waitingSinceMs ??= this.#lookedAtMs;
  }
}
