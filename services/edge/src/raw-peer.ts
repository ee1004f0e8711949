import type { Socket } from "node:net";
import {
  CLOCK_BYTES,
  dropSocket,
  EdgeEncoder,
  encodeEdgeClock,
  encodeHeartbeat,
  encodeRecords,
  encodeResult,
  encodeSignal,
  HostItemStream,
  HostRecordStream,
  isCanfleetError,
  linkError,
  LinkWatchdog,
  MAX_LOSSES_BYTES,
  MAX_RECORDS_PER_WRITE,
  MAX_TTL_MS,
  maxEncodedBytes,
  messageOf,
  RESULT_BYTES,
  TAG_CLOCK,
  WriteQueue,
  type CanfleetError,
  type FrameBatch,
  type LinkPeer,
  type LinkTiming,
  type RecordSize,
  type SendCode,
} from "@canfleet/sdk";
import { EdgeClock } from "./clock/edge-clock.ts";
import type { RecordForm } from "./config.ts";
import type { SendSource, Transmitter } from "./transmit.ts";

/** "holding" while the host may still answer the greeting. */
export type RawPeerMode = "holding" | "records" | "extended";

/** Rows encoded in one go: whatever they are, they fit one block of the write queue. */
const ROWS_PER_BLOCK = 256;
/** Captured frames kept while the host may still answer the greeting. */
const MAX_HELD_FRAMES = 4096;
const DEFAULT_TTL_MS = 500;
/** A heartbeat, the losses that are told with it, and the clock. */
const HEARTBEAT_BYTES = MAX_LOSSES_BYTES + 32 + CLOCK_BYTES;

/** What the peers of a link count together. */
export interface PeerCounters {
  framesOut: number;
  framesIn: number;
  dropped: number;
  badRecords: number;
}

export interface RawPeerOptions {
  record: RecordForm;
  maxBufferedBytes: number;
  timing: LinkTiming;
  transmitter: Transmitter;
  /** What its frames count as before the allow-list. */
  source: SendSource;
  /** Who it is, for logs. */
  by: string;
  counters: PeerCounters;
  /** It sent something that is no frame. `detail` is for people. */
  onUnreadable?: ((by: string, detail: string) => void) | undefined;
  /** Called once. `reason` is for people; `isRefusal`: the host does not want this edge until something is changed. */
  onClosed: (reason: string, isRefusal: boolean) => void;
}

/** One host: what the bus has goes out to it, what it asks for goes to the transmitter. */
export class RawPeer {
  readonly #socket: Socket;
  readonly #options: RawPeerOptions;
  readonly #counters: PeerCounters;
  readonly #writes: WriteQueue;
  readonly #watchdog: LinkWatchdog;
  readonly #encoder = new EdgeEncoder();
  /** By which the age of what the host asks for counts. */
  readonly #clock = new EdgeClock();
  #clockDueMs = Infinity;
  readonly #records: HostRecordStream;
  readonly #items: HostItemStream;
  readonly #recordSize: RecordSize;
  /** What came behind the proof of the token; undefined without one. */
  readonly #proven: Uint8Array | undefined;
  #mode: RawPeerMode;
  #isHelloRead = false;
  #held: FrameBatch[] = [];
  #heldFrames = 0;
  #holdTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  #flushTimer: NodeJS.Immediate | undefined;
  #isRefusal = false;
  #reason = "the host closed the connection";

  constructor({ socket, proven }: LinkPeer, options: RawPeerOptions) {
    this.#socket = socket;
    this.#proven = proven;
    this.#options = options;
    this.#counters = options.counters;
    const mayUpgrade = options.record === "auto";
    this.#mode = mayUpgrade ? "holding" : "records";
    this.#recordSize = options.record === "auto" ? 21 : options.record;
    this.#records = new HostRecordStream(
      {
        frames: (batch) => this.#submit(batch, this.#watchdog.mayBeLate ? 0 : DEFAULT_TTL_MS),
        hello: (rest) => this.#onHello(rest),
      },
      mayUpgrade,
    );
    this.#items = new HostItemStream({
      frames: (batch, numbers, ttlMs, askedUs) => {
        const wantedMs = Math.min(ttlMs === 0 ? DEFAULT_TTL_MS : ttlMs, MAX_TTL_MS);
        const at = askedUs === undefined ? undefined : { clock: this.#clock.id, atUs: askedUs };
        this.#submit(batch, this.#clock.timeLeftMs(wantedMs, at), numbers);
      },
    });
    this.#writes = new WriteQueue(socket, { maxBytes: options.maxBufferedBytes });
    this.#watchdog = new LinkWatchdog({
      socket,
      timing: options.timing,
      stalledMs: (nowMs) => this.#writes.stalledMs(nowMs),
      onHeartbeat: () => this.#heartbeat(),
      onDead: (reason) => {
        this.#reason = `the host is dead: ${reason}`;
        dropSocket(socket);
      },
    });
  }

  /** Starts reading, and greets a host that may be canfleet's. */
  start(): void {
    this.#socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    this.#socket.on("error", (error) => this.#onError(linkError(error)));
    this.#socket.once("close", () => this.#onClose());
    if (this.#proven) {
      const rest = this.#proven;
      this.#readSafely(() => this.#beginExtended(rest));
      return;
    }
    // The forwarder builds at the other end throw away broken records, as the C client does.
    if (this.#recordSize === 13) this.#writes.setPace(MAX_RECORDS_PER_WRITE * 13, 1);
    if (this.#mode !== "holding") return;
    this.#writes.push(encodeSignal("greeting", Date.now() * 1000));
    this.#holdTimer = setTimeout(() => this.#release("records"), this.#options.timing.holdMs);
  }

  get mode(): RawPeerMode {
    return this.#mode;
  }

  /** Encodes or drops the batch now; it may be used again after the call. */
  publish(batch: FrameBatch): void {
    if (this.#socket.destroyed) return;
    if (this.#mode === "holding") this.#hold(batch);
    else this.#write(batch);
  }

  #hold(batch: FrameBatch): void {
    this.#held.push(batch.clone());
    this.#heldFrames += batch.count;
    if (this.#heldFrames > MAX_HELD_FRAMES) this.#release("records");
  }

  #release(mode: "records" | "extended"): void {
    clearTimeout(this.#holdTimer);
    this.#mode = mode;
    const held = this.#held;
    this.#held = [];
    for (const batch of held) this.#write(batch);
  }

  #write(batch: FrameBatch): void {
    const isExtended = this.#mode === "extended";
    const bytes = isExtended ? maxEncodedBytes(batch) : batch.count * this.#recordSize;
    if (!this.#writes.hasRoom(bytes)) this.#drop(batch);
    else if (isExtended) this.#writeItems(batch);
    else this.#writeRecords(batch);
    this.#sent();
  }

  /** Hands to the kernel what was written. */
  #sent(): void {
    if (performance.now() >= this.#clockDueMs) this.#tellClock();
    this.#watchdog.sent();
    this.#writes.flush();
  }

  #tellClock(): void {
    if (!this.#writes.hasRoom(CLOCK_BYTES)) return;
    this.#clockDueMs = performance.now() + this.#options.timing.heartbeatMs;
    this.#writes.reserve(CLOCK_BYTES);
    this.#writes.commit(encodeEdgeClock(TAG_CLOCK, this.#clock.nowUs(), this.#writes.block, this.#writes.end));
  }

  #drop(batch: FrameBatch): void {
    this.#counters.dropped += batch.count;
    if (this.#mode === "extended") this.#encoder.lose(batch.count, batch.lost);
  }

  #writeItems(batch: FrameBatch): void {
    const skippedBefore = this.#encoder.skipped;
    for (let from = 0; from < batch.count; from += ROWS_PER_BLOCK) {
      const to = Math.min(batch.count, from + ROWS_PER_BLOCK);
      this.#writes.reserve(maxEncodedBytes(batch, from, to));
      this.#writes.commit(this.#encoder.encode(batch, this.#writes.block, this.#writes.end, from, to));
    }
    this.#countOut(batch.count, this.#encoder.skipped - skippedBefore);
  }

  #writeRecords(batch: FrameBatch): void {
    let skipped = 0;
    for (let from = 0; from < batch.count; from += ROWS_PER_BLOCK) {
      const to = Math.min(batch.count, from + ROWS_PER_BLOCK);
      this.#writes.reserve((to - from) * this.#recordSize);
      const { block, end } = this.#writes;
      const done = encodeRecords(batch, this.#recordSize, block, end, from, to);
      this.#writes.commit(end + done.bytes);
      skipped += done.skipped;
    }
    this.#countOut(batch.count, skipped);
  }

  #countOut(frames: number, skipped: number): void {
    this.#counters.framesOut += frames - skipped;
    this.#counters.dropped += skipped;
  }

  #heartbeat(): void {
    if (!this.#writes.hasRoom(HEARTBEAT_BYTES)) return;
    this.#writes.reserve(HEARTBEAT_BYTES);
    this.#writes.commit(this.#encoder.flushLosses(this.#writes.block, this.#writes.end));
    this.#tellClock();
    this.#writes.push(encodeHeartbeat(Date.now() * 1000, this.#encoder.nextSeq));
  }

  #onData(chunk: Uint8Array): void {
    this.#watchdog.received();
    this.#readSafely(() => {
      if (this.#isHelloRead) this.#items.read(chunk);
      else this.#readRecords(chunk);
    });
  }

  #readSafely(read: () => void): void {
    try {
      read();
    } catch (error) {
      // A host that wants a token has sent nothing wrong.
      this.#isRefusal = isCanfleetError(error, "LINK_REFUSED");
      if (!this.#isRefusal) this.#countBad(messageOf(error));
      this.#end(messageOf(error));
    }
  }

  #countBad(detail: string): void {
    this.#counters.badRecords++;
    this.#options.onUnreadable?.(this.#options.by, detail);
  }

  #readRecords(chunk: Uint8Array): void {
    clearTimeout(this.#quietTimer);
    this.#records.read(chunk);
    if (this.#isHelloRead || !this.#records.isUndecided) return;
    const quiet = (): void => this.#readSafely(() => this.#records.quiet());
    this.#quietTimer = setTimeout(quiet, this.#options.timing.quietMs);
  }

  #onHello(rest: Uint8Array): void {
    this.#writes.push(encodeSignal("accept", Date.now() * 1000));
    this.#beginExtended(rest);
  }

  #beginExtended(rest: Uint8Array): void {
    this.#isHelloRead = true;
    this.#watchdog.isExtended = true;
    this.#tellClock();
    this.#writes.flush();
    this.#release("extended");
    if (rest.length > 0) this.#items.read(rest);
  }

  /** @param ttlMs what is left of it; not above 0: answered as expired */
  #submit(frames: FrameBatch, ttlMs: number, numbers?: Uint32Array): void {
    this.#counters.framesIn += frames.count;
    this.#options.transmitter.submit({
      frames,
      source: this.#options.source,
      by: this.#options.by,
      ttlMs,
      ...(numbers && {
        settled: (row, code, timestampUs) => this.#answer(numbers[row]!, code, timestampUs),
      }),
    });
  }

  #answer(number: number, code: SendCode, timestampUs: number | undefined): void {
    if (number === 0 || this.#socket.destroyed || !this.#writes.hasRoom(RESULT_BYTES)) return;
    this.#writes.reserve(RESULT_BYTES);
    this.#writes.commit(encodeResult(number, code, timestampUs, this.#writes.block, this.#writes.end));
    // Results of one turn of the event loop leave in one write.
    this.#flushTimer ??= setImmediate(() => {
      this.#flushTimer = undefined;
      this.#sent();
    });
  }

  /** Hands what waits to the kernel, for `timeoutMs` at most, and ends the connection. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#mode === "holding") this.#release("records");
    await this.#writes.drained(timeoutMs);
    this.#reason = "closed";
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      const giveUp = setTimeout(() => this.#socket.destroy(), timeoutMs);
      this.#socket.once("close", () => {
        clearTimeout(giveUp);
        resolve();
      });
      // What the kernel has taken still goes out; the host's own close ends the wait.
      this.#socket.end();
      this.#socket.resume();
    });
  }

  #end(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
  }

  #onError({ code, message }: CanfleetError): void {
    this.#isRefusal = code === "LINK_REFUSED";
    this.#reason = message;
  }

  #onClose(): void {
    clearTimeout(this.#holdTimer);
    clearTimeout(this.#quietTimer);
    clearImmediate(this.#flushTimer);
    this.#watchdog.close();
    this.#writes.close();
    this.#held = [];
    this.#options.onClosed(this.#reason, this.#isRefusal);
  }
}
