import { messageOf } from "@canfleet/sdk";
import { randomBytes } from "node:crypto";
import { access, mkdir, readFile, unlink } from "node:fs/promises";
import { uptime } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BusSpool, type SpoolHost, type SpoolLosses, type SpoolState } from "./bus-spool.ts";
import { hasCode } from "./file-errors.ts";
import { isLocked, lockFolder, unlockFolder } from "./folder-lock.ts";
import { OpenSegment, type Placed } from "./open-segment.ts";
import { recover } from "./recovery.ts";
import {
  bootIdDigits,
  encodeGone,
  encodeRecord,
  KIND_BATCH,
  KIND_END,
  KIND_GONE,
  RECORD_BYTES,
  type RecordHead,
} from "./segment-format.ts";
import type { Segment } from "./segment.ts";
import { Wakeup } from "./wakeup.ts";
import type { EdgeLog } from "../../log.ts";

/** Batches that wait to be written at most, all buses together, bytes. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;
/** Bytes that are written at a time, about. */
const WRITE_BYTES = 256 * 1024;
/** Batches are gathered this long before they are written, ms. */
const GATHER_MS = 10;
/** Longest time between writing and fdatasync, and between two looks at the folder, ms. */
const SYNC_MS = 1_000;
/** A folder that cannot be used is tried again after this, ms. */
const RETRY_MS = 2_000;

/** What goes when the spool is full. */
export type SpoolPolicy = "drop-oldest" | "drop-newest";

export interface SpoolOptions {
  folder: string;
  edge: string;
  /** Limit of all segments together, bytes. */
  maxBytes: number;
  /** A segment that has this size is followed by a new one, bytes. */
  segmentBytes: number;
  /** Batches older than this are dropped, ms; undefined: no limit. */
  maxAgeMs: number | undefined;
  /** What the hub has taken stays this long, ms. */
  keepMs: number;
  policy: SpoolPolicy;
  log: EdgeLog;
  /** Something can be read that could not be before. */
  onReady: () => void;
}

/** The spool of an edge: a folder with what its hub has not taken yet (docs/spool.md). */
export class Spool implements SpoolHost {
  readonly folder: string;
  isRecovered = false;
  /** `starting`: what earlier lives left is being read. `failed`: the folder cannot be used, batches stay in memory. */
  state: SpoolState = "starting";
  /** Why it failed last; empty when it did not. */
  reason = "";
  /** The limit was reached, and less than half of it is not free again yet. */
  isFull = false;
  /** Syncs that failed. */
  syncErrors = 0;
  readonly #options: SpoolOptions;
  readonly #buses = new Map<string, BusSpool>();
  /** Segments of buses that the edge does not have. */
  #strangers: Segment[] = [];
  readonly #finishing = new Set<Promise<void>>();
  readonly #wakeup = new Wakeup();
  #bootId = "";
  #ordinal = 0;
  #hasLock = false;
  #isClosing = false;
  #lookedAtMs = -Infinity;
  #loop: Promise<void> | undefined;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.folder = options.folder;
  }

  /** One bus's part; to be called for each before `start`. */
  addBus(bus: string, losses: SpoolLosses): BusSpool {
    const part = new BusSpool(bus, this, losses);
    this.#buses.set(bus, part);
    return part;
  }

  /** Begins to use the folder. Never fails: what is wrong with it is told in `state` and the log, and tried again. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#segments().reduce((sum, { size }) => sum + size, 0);
  }

  /** Bytes of the segments that are not only kept for those who come back later. */
  get #neededBytes(): number {
    return this.#segments().reduce((sum, segment) => (this.#isNeeded(segment) ? sum + segment.size : sum), 0);
  }

  #isNeeded(segment: Segment): boolean {
    return this.#buses.get(segment.id.bus)?.isWanted(segment) ?? true;
  }

  get #queuedBytes(): number {
    let bytes = 0;
    for (const bus of this.#buses.values()) bytes += bus.queuedBytes;
    return bytes;
  }

  #segments(): Segment[] {
    return [...this.#strangers, ...[...this.#buses.values()].flatMap(({ segments }) => segments)];
  }

  takes(bytes: number): boolean {
    const { maxBytes, policy } = this.#options;
    const queued = this.#queuedBytes + bytes;
    if (queued > MAX_QUEUED_BYTES) return false;
    const isOver = policy === "drop-newest" && this.#neededBytes + queued > maxBytes;
    if (isOver) this.#tellFull("the newest batches are");
    return !isOver;
  }

  wake(): void {
    this.#wakeup.wake();
  }

  ready(): void {
    this.#options.onReady();
  }

  /** Writes what waits, and ends. Takes no more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#wakeup.wake();
    await this.#loop;
    for (const bus of this.#buses.values()) this.#endSegment(bus);
    await Promise.all(this.#finishing);
    if (this.#hasLock) await unlockFolder(this.folder);
  }

  async #run(): Promise<void> {
    for (;;) {
      const isLast = this.#isClosing;
      try {
        await this.#open();
        await this.#work();
        this.#succeeded();
      } catch (error) {
        this.#failed(error);
      }
      if (isLast) return;
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    if (this.state === "failed") {
      const endMs = performance.now() + RETRY_MS;
      while (!this.#isClosing && performance.now() < endMs) await sleep(GATHER_MS);
      return;
    }
    await this.#wakeup.wait(SYNC_MS);
    if (!this.#isClosing) await sleep(GATHER_MS);
  }

  #succeeded(): void {
    if (this.state === "failed") this.#options.log(`spool ${this.folder}: works again`);
    this.state = "ok";
    this.reason = "";
  }

  #failed(error: unknown): void {
    for (const bus of this.#buses.values()) this.#endSegment(bus);
    this.#lookedAtMs = -Infinity;
    if (this.state !== "failed") {
      this.#options.log(
        `spool ${this.folder}: ${messageOf(error)}; batches stay in memory, trying again every ${RETRY_MS / 1000} s`,
        "warn",
      );
    }
    this.state = "failed";
    this.reason = messageOf(error);
  }

  /** Makes the folder this edge's, and sees whether it still is. */
  async #open(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#lookedAtMs < SYNC_MS) return;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    if (this.#bootId === "") {
      this.#bootId = bootIdDigits(await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""));
    }
    if (!this.#hasLock || !(await isLocked(this.folder))) await lockFolder(this.folder, this.#bootId);
    this.#hasLock = true;
    if (this.isRecovered) await this.#look();
    else await this.#recover();
    this.#lookedAtMs = nowMs;
  }

  async #recover(): Promise<void> {
    const { found, unsure } = await recover(this.folder, this.#options.edge, this.#bootId);
    for (const { segment } of found) {
      this.#ordinal = Math.max(this.#ordinal, segment.id.ordinal);
      const bus = this.#buses.get(segment.id.bus);
      if (bus) bus.recovered(segment);
      else this.#strangers.push(segment);
    }
    this.isRecovered = true;
    // What an earlier life has counted must be known before damage is found anew.
    for (const { segment, gone } of found) {
      for (const range of gone) this.#buses.get(segment.id.bus)?.state(range, false);
    }
    for (const { segment, damaged } of found) {
      for (const range of damaged) this.#buses.get(segment.id.bus)?.damaged(range);
    }
    for (const bus of unsure) {
      this.#options.log(`spool ${this.folder}: ${bus} was not ended in order; how much of it is missing is not known`);
      this.#buses.get(bus)?.damagedUnknown();
    }
    this.ready();
  }

  /** What somebody else took out of the folder is lost. */
  async #look(): Promise<void> {
    for (const segment of this.#segments()) {
      try {
        await access(join(this.folder, segment.file));
      } catch (error) {
        if (!hasCode(error, "ENOENT")) throw error;
        this.#takeOff(segment);
      }
    }
  }

  async #work(): Promise<void> {
    for (const bus of this.#buses.values()) bus.skipSettled();
    await this.#deleteSettled();
    await this.#dropOld();
    for (const bus of this.#buses.values()) {
      while (bus.queued.length > 0) await this.#write(bus);
      await this.#writeEnd(bus);
      if (performance.now() - bus.syncedAtMs < SYNC_MS) continue;
      bus.syncedAtMs = performance.now();
      bus.current?.sync();
    }
  }

  /** What the hub has stays for a while, but not at the end, and not where there may be no room. */
  async #deleteSettled(): Promise<void> {
    const keepMs = this.#isClosing || this.state === "failed" ? 0 : this.#options.keepMs;
    const nowMs = performance.now();
    for (const bus of this.#buses.values()) {
      for (const segment of bus.segments) {
        if (bus.isWanted(segment)) segment.settledAtMs = undefined;
        else segment.settledAtMs ??= nowMs;
        const keptMs = segment.settledAtMs === undefined ? -1 : nowMs - segment.settledAtMs;
        if (keptMs >= keepMs || (keptMs >= 0 && segment.numbers.rangeCount === 0)) await this.#delete(segment);
      }
    }
    if (this.isFull && this.#neededBytes < this.#options.maxBytes / 2) this.isFull = false;
  }

  async #dropOld(): Promise<void> {
    const { maxAgeMs } = this.#options;
    if (maxAgeMs === undefined) return;
    const nowMs = uptimeMs();
    for (const segment of this.#segments()) {
      if (nowMs - segment.newestUptimeMs > maxAgeMs) await this.#delete(segment);
    }
  }

  async #makeRoom(bytes: number): Promise<void> {
    while (this.bytes + bytes > this.#options.maxBytes) {
      const all = this.#segments();
      const settled = oldestOf(all.filter((segment) => !this.#isNeeded(segment)));
      const oldest = settled ?? (this.#options.policy === "drop-newest" ? undefined : oldestOf(all));
      if (!oldest) return;
      if (!settled) this.#tellFull("the oldest batches are");
      await this.#delete(oldest);
    }
  }

  #tellFull(what: string): void {
    if (!this.isFull) this.#options.log(`spool ${this.folder}: is full, ${what} dropped`, "warn");
    this.isFull = true;
  }

  async #delete(segment: Segment): Promise<void> {
    try {
      await unlink(join(this.folder, segment.file));
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
    }
    this.#takeOff(segment);
  }

  #takeOff(segment: Segment): void {
    const bus = this.#buses.get(segment.id.bus);
    if (bus?.current?.segment === segment) this.#endSegment(bus);
    bus?.removed(segment);
    this.#strangers = this.#strangers.filter((other) => other !== segment);
  }

  #endSegment(bus: BusSpool): void {
    const { current } = bus;
    if (!current) return;
    bus.current = undefined;
    const finishing = current.finish().finally(() => this.#finishing.delete(finishing));
    this.#finishing.add(finishing);
  }

  /** Writes some of the batches that wait. */
  async #write(bus: BusSpool): Promise<void> {
    const { segmentBytes } = this.#options;
    const size = bus.current?.segment.size ?? 0;
    const most = Math.min(WRITE_BYTES, segmentBytes - (size < segmentBytes ? size : 0));
    let bytes = 0;
    let batches = 0;
    while (batches < bus.queued.length && (batches === 0 || bytes < most)) {
      bytes += RECORD_BYTES + bus.queued[batches++]!.payload.length;
    }
    await this.#makeRoom(bytes);
    const open = await this.#segmentFor(bus);
    const { written, placed } = this.#encode(bus, batches, open.segment);
    await open.write(written, placed);
    const last = placed.at(-1)!.head;
    bus.run = [last.run, last.seq + last.count];
    bus.unqueue(batches);
  }

  /** Says in the files that nothing of this epoch is missing behind its last record. */
  async #writeEnd({ isComplete, current, run: [run, seq] }: BusSpool): Promise<void> {
    if (!isComplete || !current || current.isBad) return;
    const { epoch, salt } = current.segment.id;
    const bytes = new Uint8Array(RECORD_BYTES);
    const head = { kind: KIND_END, epoch, seq, run, count: 0, timeUs: Date.now() * 1000, uptimeMs: uptimeMs() };
    encodeRecord(bytes, 0, salt, head, new Uint8Array(0));
    await current.write(bytes, []);
  }

  async #segmentFor(bus: BusSpool): Promise<OpenSegment> {
    const { current } = bus;
    if (current && !current.isBad && current.segment.size < this.#options.segmentBytes) return current;
    this.#endSegment(bus);
    const { epoch, seq } = bus.queued[0]!;
    const header = {
      bus: bus.bus,
      epoch,
      ordinal: ++this.#ordinal,
      salt: randomBytes(4).readUInt32LE(),
      edge: this.#options.edge,
      first: seq,
      previous: bus.lastOrdinal,
      bootId: this.#bootId,
    };
    const open = await OpenSegment.create(this.folder, header, (error) => this.#onSyncError(error));
    bus.begin(open, header.ordinal);
    return open;
  }

  #onSyncError(error: unknown): void {
    if (this.syncErrors++ === 0) this.#options.log(`spool ${this.folder}: ${messageOf(error)}`, "warn");
  }

  #encode(bus: BusSpool, batches: number, { id }: Segment): { written: Uint8Array; placed: Placed[] } {
    const common = { timeUs: Date.now() * 1000, uptimeMs: uptimeMs() };
    const gone = bus.takeGone();
    const goneBytes = gone.length > 0 ? encodeGone(gone) : undefined;
    const taken = bus.queued.slice(0, batches);
    const bytes = taken.reduce((sum, { payload }) => sum + RECORD_BYTES + payload.length, 0);
    const written = new Uint8Array(bytes + (goneBytes ? RECORD_BYTES + goneBytes.length : 0));
    let at = 0;
    if (goneBytes) {
      const head = { kind: KIND_GONE, epoch: id.epoch, seq: 0, run: 0, count: 0, ...common };
      at = encodeRecord(written, 0, id.salt, head, goneBytes);
    }
    let [run, end] = bus.run;
    const placed = taken.map(({ epoch, seq, end: next, payload }) => {
      if (seq !== end) run = seq;
      end = next;
      const head: RecordHead = { kind: KIND_BATCH, epoch, seq, run, count: next - seq, ...common };
      const place = { head, at };
      at = encodeRecord(written, at, id.salt, head, payload);
      return place;
    });
    return { written, placed };
  }
}

function oldestOf(segments: readonly Segment[]): Segment | undefined {
  return segments.reduce<Segment | undefined>((a, b) => (a && a.id.ordinal < b.id.ordinal ? a : b), undefined);
}

function uptimeMs(): number {
  return Math.round(uptime() * 1000);
}
