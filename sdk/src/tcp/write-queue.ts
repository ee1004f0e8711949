import type { Socket } from "node:net";

const BLOCK_BYTES = 65_536;
const SPARE_BLOCKS = 4;
/** Small enough that a slow peer takes one within the time after which it counts as dead. */
const DEFAULT_WRITE_BYTES = 16_384;

interface Block {
  readonly bytes: Uint8Array;
  start: number;
  end: number;
}

export interface WriteQueueOptions {
  /** Bytes that wait at most. */
  maxBytes: number;
  /** Told whenever the last byte was handed to the kernel. */
  onIdle?: () => void;
}

/**
 * Bytes on their way to a socket, in reused blocks: one write at a time, the rest waits here, where it is bounded.
 *
 * Use: `reserve`, write into `block` from `end` on, `commit`, and `flush` when nothing more follows at once.
 */
export class WriteQueue {
  readonly #socket: Socket;
  readonly #options: WriteQueueOptions;
  readonly #blocks: Block[] = [];
  readonly #spare: Uint8Array[] = [];
  #waitingBytes = 0;
  #writeBytes = DEFAULT_WRITE_BYTES;
  #gapMs = 0;
  #gap: NodeJS.Timeout | undefined;
  #writingSinceMs: number | undefined;
  #isClosed = false;

  constructor(socket: Socket, options: WriteQueueOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether everything was handed to the kernel, and another write may follow at once. */
  get isIdle(): boolean {
    return this.#waitingBytes === 0 && this.#gap === undefined;
  }

  /** How long the kernel has taken nothing although something waits, ms. */
  stalledMs(nowMs: number): number {
    return this.#writingSinceMs === undefined ? 0 : nowMs - this.#writingSinceMs;
  }

  /**
   * How much goes into one write, and how long the next one waits: towards peers that read badly.
   *
   * @param writeBytes a multiple of the record, for peers that need whole ones
   */
  setPace(writeBytes = DEFAULT_WRITE_BYTES, gapMs = 0): void {
    this.#writeBytes = writeBytes;
    this.#gapMs = gapMs;
  }

  /** Whether so many bytes may still be added. */
  hasRoom(bytes: number): boolean {
    return this.#waitingBytes + bytes <= this.#options.maxBytes;
  }

  /** Makes sure that `block` has room for up to 65,536 bytes from `end` on; whether they may be added is `hasRoom`. */
  reserve(bytes: number): void {
    const last = this.#blocks.at(-1);
    if (last && last.end + bytes <= BLOCK_BYTES) return;
    if (bytes > BLOCK_BYTES) throw new RangeError(`at most ${BLOCK_BYTES} bytes at a time`);
    this.#blocks.push({ bytes: this.#spare.pop() ?? new Uint8Array(BLOCK_BYTES), start: 0, end: 0 });
  }

  /** Where to write. Valid after `reserve`, until `commit`. */
  get block(): Uint8Array {
    return this.#blocks.at(-1)!.bytes;
  }

  /** Offset in `block` from which on to write. */
  get end(): number {
    return this.#blocks.at(-1)!.end;
  }

  /** Takes what was written into `block` up to (not including) `end`. */
  commit(end: number): void {
    const last = this.#blocks.at(-1)!;
    this.#waitingBytes += end - last.end;
    last.end = end;
  }

  /** Adds and writes a few bytes, whether there is room or not. */
  push(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.block.set(bytes, this.end);
    this.commit(this.end + bytes.length);
    this.flush();
  }

  /** Starts writing, unless a write is under way: then what waits follows by itself. */
  flush(): void {
    if (this.#writingSinceMs !== undefined || this.#gap !== undefined || this.#socket.destroyed) return;
    const first = this.#firstFilled();
    if (!first) return;
    const end = Math.min(first.end, first.start + this.#writeBytes);
    this.#writingSinceMs = performance.now();
    this.#socket.write(first.bytes.subarray(first.start, end), (error) => {
      if (!error && !this.#isClosed) this.#written(first, end);
    });
  }

  #firstFilled(): Block | undefined {
    for (let first = this.#blocks[0]; first; first = this.#blocks[0]) {
      if (first.start < first.end) return first;
      this.#blocks.shift();
      if (this.#spare.length < SPARE_BLOCKS) this.#spare.push(first.bytes);
    }
    return undefined;
  }

  #written(block: Block, end: number): void {
    this.#waitingBytes -= end - block.start;
    block.start = end;
    this.#writingSinceMs = undefined;
    if (block.start === block.end) block.start = block.end = 0;
    if (this.#gapMs > 0) {
      this.#gap = setTimeout(() => {
        this.#gap = undefined;
        this.#goOn();
      }, this.#gapMs);
    } else this.#goOn();
  }

  #goOn(): void {
    this.flush();
    if (this.isIdle) this.#options.onIdle?.();
  }

  /** Waits until all is handed to the kernel, the socket is closed, or the time is over. */
  drained(timeoutMs: number): Promise<void> {
    this.flush();
    return new Promise((resolve) => {
      const isDone = (): boolean => this.#waitingBytes === 0 || this.#socket.destroyed;
      if (isDone()) {
        resolve();
        return;
      }
      const startedMs = performance.now();
      const timer = setInterval(() => {
        if (!isDone() && performance.now() - startedMs < timeoutMs) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
  }

  /** Forgets what waits. The socket is the caller's to close. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#gap);
    this.#gap = undefined;
    this.#blocks.length = 0;
    this.#waitingBytes = 0;
  }
}
