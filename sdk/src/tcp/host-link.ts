import type { Socket } from "node:net";
import type { FrameBatch } from "../can/frame-batch.ts";
import { CanfleetError, messageOf } from "../errors.ts";
import { HeardClock } from "../heard-clock.ts";
import {
  CLOCK_BYTES,
  encodeEdgeClock,
  encodeHeartbeat,
  encodeHostFrame,
  TAG_ASKED,
  tagOf,
} from "../wire/extended-link.ts";
import { EdgeItemStream } from "../wire/extended-stream.ts";
import { encodeHello, encodeRecords, fitsRecord, MAX_RECORDS_PER_WRITE, type RecordForm } from "../wire/record.ts";
import { RecordStream } from "../wire/record-stream.ts";
import type { SendCode } from "../wire/send-request.ts";
import { dropSocket } from "./drop-socket.ts";
import { encodeRefusal } from "../wire/link-lock.ts";
import { sayLastly } from "./last-words.ts";
import { linkError, type LinkPeer } from "./link-security.ts";
import type { LinkTiming } from "./link-timing.ts";
import { LinkWatchdog } from "./link-watchdog.ts";
import type { SendQueue, SendSegment } from "./send-queue.ts";
import { WriteQueue } from "./write-queue.ts";

/** "opening" until the peer's format is known. */
export type HostLinkMode = "opening" | "records" | "extended";

const RECORD_BYTES = 13;
const MAX_HOST_FRAME_BYTES = 78;
/** Frames handed to the kernel in one go: few enough that those which wait can still expire. */
const MAX_FRAMES_PER_WRITE = 200;
/** A socketsocketcan client throws away what it reads in broken records, so it gets time to read each write whole. */
const RECORD_GAP_MS = 1;

export interface HostLinkOptions {
  record: RecordForm;
  timing: LinkTiming;
}

/** What a link tells the bus. */
export interface HostLinkEvents {
  /** The format is known: frames can be sent. */
  opened(): void;
  frames(batch: FrameBatch): void;
  result(number: number, code: SendCode, timestampUs: number | undefined): void;
  /** Whether somebody waits for the result of a send. */
  wantsResult(number: number): boolean;
  /** A frame that waited cannot be sent. */
  refused(number: number, error: CanfleetError): void;
  /** Called once, also when the peer closed. `LINK_REFUSED`: one end does not want the other, until something is changed. */
  closed(reason: CanfleetError): void;
}

/** One connection to an edge, from the host's side: reads what it sends, sends what waits in the queue. */
export class HostLink {
  readonly #socket: Socket;
  readonly #events: HostLinkEvents;
  readonly #timing: LinkTiming;
  readonly #sends: SendQueue;
  readonly #records: RecordStream;
  readonly #items: EdgeItemStream;
  /** The edge's clock, for the age of what is sent. */
  readonly #clock = new HeardClock();
  readonly #writes: WriteQueue;
  readonly #watchdog: LinkWatchdog;
  readonly #isRecordKnown: boolean;
  #mode: HostLinkMode = "opening";
  #isAccepted = false;
  #isRefused = false;
  #isPumping = false;
  #openTimer: NodeJS.Timeout | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  #reason = closedBecause("the peer closed the connection");
  readonly #proven: Uint8Array | undefined;

  constructor({ socket, proven }: LinkPeer, sends: SendQueue, options: HostLinkOptions, events: HostLinkEvents) {
    this.#socket = socket;
    this.#proven = proven;
    this.#sends = sends;
    this.#events = events;
    this.#timing = options.timing;
    this.#isRecordKnown = options.record !== "auto";
    this.#items = new EdgeItemStream({
      frames: (batch) => events.frames(batch),
      result: (number, code, timestampUs) => events.result(number, code, timestampUs),
      clock: (atUs) => this.#onClock(atUs),
    });
    this.#records = new RecordStream(options.record, {
      frames: (batch) => {
        this.#open("records");
        events.frames(batch);
      },
      greeting: () => this.#onGreeting(),
      challenge: () => this.#onChallenge(),
      accept: (rest) => this.#onAccept(rest),
    });
    this.#writes = new WriteQueue(socket, { maxBytes: Infinity, onIdle: () => this.pump() });
    this.#writes.setPace(MAX_RECORDS_PER_WRITE * RECORD_BYTES, RECORD_GAP_MS);
    this.#watchdog = new LinkWatchdog({
      socket,
      timing: options.timing,
      stalledMs: (nowMs) => this.#writes.stalledMs(nowMs),
      onHeartbeat: () => this.#writes.push(encodeHeartbeat(Date.now() * 1000)),
      onDead: (reason) => {
        this.#reason = closedBecause(`the peer is dead: ${reason}`);
        dropSocket(socket);
      },
    });
  }

  /** Starts reading. Events follow, never from within this call, except `opened` when the format is known. */
  start(): void {
    this.#socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    this.#socket.on("error", (error) => (this.#reason = linkError(error)));
    this.#socket.once("close", () => this.#onClose());
    if (this.#proven) {
      this.#beginExtended();
      this.#readSafely(() => this.#onAccept(this.#proven!));
      return;
    }
    if (this.#isRecordKnown) this.#open("records");
    else this.#openTimer = setTimeout(() => this.#open("records"), this.#timing.greetingWaitMs);
  }

  get mode(): HostLinkMode {
    return this.#mode;
  }

  /** Bytes that were part of no record. */
  get skippedBytes(): number {
    return this.#records.skippedBytes;
  }

  /** How long the peer sent nothing, ms. */
  get silentMs(): number {
    return this.#watchdog.silentMs;
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  #open(mode: HostLinkMode): void {
    if (this.#mode === mode || this.#mode === "extended") return;
    const isFirst = this.#mode === "opening";
    this.#mode = mode;
    clearTimeout(this.#openTimer);
    if (isFirst) this.#events.opened();
    this.pump();
  }

  #onData(chunk: Uint8Array): void {
    this.#watchdog.received();
    if (this.#isRefused) return;
    this.#readSafely(() => {
      if (this.#isAccepted) this.#items.read(chunk);
      else this.#readRecords(chunk);
    });
  }

  #readSafely(read: () => void): void {
    try {
      read();
    } catch (error) {
      this.close(messageOf(error));
    }
  }

  #readRecords(chunk: Uint8Array): void {
    this.#records.read(chunk);
    clearTimeout(this.#quietTimer);
    if (this.#records.isUndecided && !this.#isRefused) {
      this.#quietTimer = setTimeout(() => this.#records.quiet(), this.#timing.quietMs);
    }
  }

  #onGreeting(): void {
    this.#writes.setPace();
    this.#writes.push(encodeHello());
    this.#beginExtended();
  }

  #beginExtended(): void {
    this.#writes.setPace();
    this.#watchdog.isExtended = true;
    this.#open("extended");
  }

  #onClock(atUs: number): void {
    const isFirst = this.#clock.now() === undefined;
    this.#clock.heard({ clock: 0, at: atUs });
    if (isFirst) this.pump();
  }

  /** The edge wants a token, and this end has none: it is told so. */
  #onChallenge(): void {
    this.#isRefused = true;
    clearTimeout(this.#openTimer);
    this.#reason = new CanfleetError("LINK_REFUSED", "the edge wants a token, and this host has none");
    sayLastly(this.#socket, encodeRefusal("host", "none", 0));
  }

  #onAccept(rest: Uint8Array): void {
    this.#isAccepted = true;
    if (rest.length > 0) this.#items.read(rest);
  }

  /** Whether frames can go out: the format is known, and on an extended link the clock by which their age counts. */
  get #isOpen(): boolean {
    if (this.#isRefused || this.#socket.destroyed) return false;
    return this.#mode === "extended" ? this.#clock.now() !== undefined : this.#mode === "records";
  }

  /** Sends what waits, as far as the kernel takes it. What it does not take can still expire. */
  pump(): void {
    // A listener that is told of a refusal may send again from within this very call.
    if (this.#isPumping || !this.#isOpen || !this.#writes.isIdle) return;
    this.#isPumping = true;
    try {
      this.#putWaiting();
    } finally {
      this.#isPumping = false;
    }
    if (this.#writes.waitingBytes === 0) return;
    this.#watchdog.sent();
    this.#writes.flush();
  }

  #putWaiting(): void {
    const nowMs = performance.now();
    const isExtended = this.#mode === "extended";
    let budget = isExtended ? MAX_FRAMES_PER_WRITE : MAX_RECORDS_PER_WRITE;
    this.#writes.reserve(budget * MAX_HOST_FRAME_BYTES + CLOCK_BYTES);
    if (isExtended && this.#sends.length > 0) this.#putAsked(nowMs);
    for (let first = this.#sends.first; first && first.next < first.frames.count && budget > 0;) {
      const row = first.next;
      const end = isExtended ? this.#putItem(first, row, nowMs) : this.#putRecord(first, row, nowMs);
      if (end > this.#writes.end) budget--;
      this.#writes.commit(end);
      this.#sends.shift(1);
      first = this.#sends.first;
    }
  }

  #putAsked(nowMs: number): void {
    const { block, end } = this.#writes;
    this.#writes.commit(encodeEdgeClock(TAG_ASKED, this.#clock.now(nowMs)!.atUs, block, end));
  }

  #putItem(segment: SendSegment, row: number, nowMs: number): number {
    const { block, end } = this.#writes;
    const number = segment.number[row]!;
    const leftMs = segment.deadlineMs[row]! - nowMs;
    if (this.#isLate(segment, row, leftMs)) return end;
    if (tagOf(segment.frames, row) < 0) {
      this.#refuse(number, "no such frame can be sent");
      return end;
    }
    const view = new DataView(block.buffer, block.byteOffset);
    return encodeHostFrame(segment.frames, row, number, Math.ceil(leftMs), block, view, end);
  }

  #putRecord(segment: SendSegment, row: number, nowMs: number): number {
    const { block, end } = this.#writes;
    if (this.#isLate(segment, row, segment.deadlineMs[row]! - nowMs)) return end;
    const wantsResult = this.#events.wantsResult(segment.number[row]!);
    const problem = wantsResult ? NO_RESULTS : recordProblem(segment.frames, row);
    if (problem !== undefined) {
      this.#refuse(segment.number[row]!, problem);
      return end;
    }
    const { bytes } = encodeRecords(segment.frames, RECORD_BYTES, block, end, row, row + 1);
    return end + bytes;
  }

  #isLate(segment: SendSegment, row: number, leftMs: number): boolean {
    if (leftMs > 0) return false;
    if (segment.deadlineMs[row] !== -1) this.#events.result(segment.number[row]!, "expired", undefined);
    return true;
  }

  #refuse(number: number, problem: string): void {
    this.#events.refused(number, new CanfleetError("WIRE_CANNOT_CARRY", problem));
  }

  /** Hands what waits to the kernel, for `timeoutMs` at most. */
  async drain(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    this.pump();
    while (this.#sends.length > 0 && this.#mode !== "opening" && !this.#socket.destroyed && performance.now() < endMs) {
      await this.#writes.drained(endMs - performance.now());
      await new Promise((resolve) => setTimeout(resolve, 1));
      this.pump();
    }
    await this.#writes.drained(Math.max(0, endMs - performance.now()));
  }

  /** Ends the connection; `closed` follows. */
  close(reason: string): void {
    this.#reason = closedBecause(reason);
    this.#socket.destroy();
  }

  #onClose(): void {
    clearTimeout(this.#openTimer);
    clearTimeout(this.#quietTimer);
    this.#watchdog.close();
    this.#writes.close();
    this.#events.closed(this.#reason);
  }
}

function closedBecause(reason: string): CanfleetError {
  return new CanfleetError("LINK_CLOSED", reason, { retryable: true });
}

const NO_RESULTS = "the peer speaks records of socketsocketcan: only the extended link can tell that a frame was sent";

/** Why a record cannot ask for this frame; undefined when it can. */
export function recordProblem(frames: FrameBatch, row: number): string | undefined {
  if (!fitsRecord(frames, row)) return "the peer speaks records of socketsocketcan, which hold no CAN FD frames";
  if (frames.dlc[row]! > 8) return "the peer speaks records of socketsocketcan, which hold no raw DLC of 9 to 15";
  return undefined;
}
