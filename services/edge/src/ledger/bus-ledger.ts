import type { BackfillRequest, BackfillResponse, BatchNotes, GoneRange, Losses, Taken } from "@canfleet/sdk";
import { Asks, type Ask } from "./asks.ts";
import type { BatchStore } from "./batch-store.ts";
import { EpochProgress } from "./epoch-progress.ts";
import { History, type HistoryEntry, type Statement, type StoredBatch } from "./history.ts";
import type { HubLink } from "./hub-link.ts";
import { Statements } from "./statements.ts";

/** What is not acknowledged this long after it was sent is sent again, and goes to the spool, ms. */
export const ACK_TIMEOUT_MS = 2_000;
/** A batch that later acknowledgements have passed over is sent again after this, ms: MQTT keeps the order. */
const PASSED_OVER_MS = 300;
/** Without a hub, what was sent this long ago counts as taken, ms: a dead connection is found within 15 s. */
const ASSUMED_TAKEN_MS = 16_000;
const HELD_REFRESH_MS = 100;

interface InFlight {
  epoch: number;
  seq: number;
  end: number;
  bytes: number;
  sentAtMs: number;
}

/** Where the walk over everything that is to be sent again stands. */
interface Pass {
  epochs: number[];
  seq: number;
}

export interface BusLedgerOptions {
  epoch: number;
  historyBytes: number;
  link: HubLink;
  /** Sends a batch live. @returns false when it was not taken */
  sendLive: (payload: Uint8Array) => boolean;
  store?: BatchStore | undefined;
  /** A clock that never steps, ms. Default: performance.now */
  nowMs?: () => number;
}

/**
 * The books of one bus: every closed batch is sent live, kept, and kept account of until the hub has it or it is stated
 * as lost (docs/reliability.md, 2). What to send again is asked for by the one who sends: `nextBackfill`, `nextAsked`.
 */
export class BusLedger {
  readonly #options: BusLedgerOptions;
  readonly #nowMs: () => number;
  readonly #history: History;
  readonly #progress = new Map<number, EpochProgress>();
  readonly #current = new EpochProgress();
  readonly #statements = new Statements();
  readonly #asks = new Asks();
  #inFlight: InFlight[] = [];
  #pass: Pass | undefined;
  /** One above the newest closed batch. */
  #end = 0;
  /** Numbers below were looked at for the spool. */
  #spooledTo = 0;
  #held: { value: number | undefined; atMs: number } = { value: undefined, atMs: -Infinity };
  #statement: Statement | undefined;
  /** What batches stated that nobody has acknowledged: said again when they are lost themselves. */
  #stated: { seq: number; end: number; statement: Statement }[] = [];

  constructor(options: BusLedgerOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#history = new History(options.historyBytes);
    this.#progress.set(options.epoch, this.#current);
  }

  /** Frames lost after they were numbered, since the start, by place. */
  get lost(): Losses {
    return this.#statements.totals;
  }

  /** Batches and bytes that were sent as backfill and not answered yet. */
  get inFlight(): { batches: number; bytes: number } {
    return { batches: this.#inFlight.length, bytes: this.#inFlight.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  /** Whether everything of this epoch was taken, or given up. */
  get isSettled(): boolean {
    return this.#current.settled.has(Math.min(this.#history.first, this.#end), this.#end);
  }

  /** Bytes of batches in memory. */
  get historyBytes(): number {
    return this.#history.bytes;
  }

  /** What the batch that is being closed says of others; to be called once for each, before `add`. */
  state(): { notes: BatchNotes; lost: Losses } {
    // While the hub is away, batches go to the spool, which may drop them and what they state.
    this.#statement = this.#options.link.isConnected ? this.#statements.take() : undefined;
    const held = this.#heldNow();
    const { gone, lost } = this.#statement ?? { gone: [], lost: {} };
    return { notes: { gone, ...(held === undefined ? {} : { held }) }, lost };
  }

  /** Enters a closed batch, and sends it live if that is possible now. */
  add(payload: Uint8Array, seq: number, count: number): void {
    const { epoch, link } = this.#options;
    const sent = link.isConnected && this.#options.sendLive(payload);
    this.#end = seq + count;
    this.#history.push({
      epoch,
      seq,
      end: this.#end,
      payload,
      connection: sent ? link.connection : 0,
      sentAtMs: this.#nowMs(),
      spooled: false,
    });
    if (this.#statement) this.#stated.push({ seq, end: this.#end, statement: this.#statement });
    this.#statement = undefined;
    this.#spoolIfNeeded();
    for (let entry = this.#history.takeExcess(); entry; entry = this.#history.takeExcess()) this.#forget(entry);
  }

  /** A batch leaves the memory: if nobody has it, it is lost. */
  #forget(entry: HistoryEntry): void {
    const { epoch, seq, end } = entry;
    const { store } = this.#options;
    if (entry.spooled || this.#current.settled.has(seq, end)) return;
    if (store && seq >= this.#spooledTo && store.append(entry)) {
      this.#spooledTo = end;
      return;
    }
    this.#current.settle(seq, end);
    // What was sent may have arrived: who misses it sees that by the numbers, asks, and is told.
    const range = { epoch, from: seq, to: end, place: store ? "spool" : "edge" };
    if (entry.connection > 0) this.#statements.remember(range);
    else this.#statements.add(range);
    this.#stateAgain(seq, end);
  }

  /** Says again what lost batches of this epoch said. */
  #stateAgain(from: number, to: number): void {
    this.#stated = this.#stated.filter(({ seq, end, statement }) => {
      const isLost = seq < to && from < end;
      if (isLost) this.#statements.repeat(statement);
      return !isLost;
    });
  }

  /**
   * States a range as lost that the store has dropped, unless the hub has it, or the memory still has.
   *
   * @param isNews false: an earlier life has counted it
   */
  dropped({ epoch, from, to, place }: GoneRange, isNews: boolean): void {
    const progress = this.#progressOf(epoch);
    const isCurrent = epoch === this.#options.epoch;
    const end = isCurrent ? Math.min(to, this.#history.first) : to;
    if (isCurrent) this.#unspool(from, to);
    for (const [first, last] of progress.settled.missing(from, end)) {
      const range = { epoch, from: first, to: last, place };
      if (isNews) this.#statements.add(range);
      else this.#statements.announce(range);
    }
    progress.settle(from, end);
    if (isCurrent) this.#stateAgain(from, end);
  }

  /** States that frames of earlier epochs are lost of which the store does not know how many. */
  droppedUnknown(): void {
    this.#statements.unknown("spool");
  }

  /** Whether everything that was closed was taken, given up, or is in the store. */
  get isKept(): boolean {
    return this.#firstUnsettled(this.#spooledTo) === this.#history.length;
  }

  /** The memory alone has these again. */
  #unspool(from: number, to: number): void {
    for (let i = this.#history.placeOf(from); i < this.#history.length; i++) {
      const entry = this.#history.at(i)!;
      if (entry.seq >= to) return;
      entry.spooled = false;
    }
  }

  #progressOf(epoch: number): EpochProgress {
    let progress = this.#progress.get(epoch);
    if (!progress) this.#progress.set(epoch, (progress = new EpochProgress()));
    return progress;
  }

  /** Enters an acknowledgement. */
  acknowledged(taken: readonly Taken[]): void {
    for (const { epoch, ranges } of taken) {
      const progress = this.#progress.get(epoch);
      if (!progress && !this.#options.store?.epochs().includes(epoch)) continue;
      const { settled, out } = progress ?? this.#progressOf(epoch);
      for (const [from, to] of ranges) {
        settled.add(from, to);
        out.add(from, to);
      }
      this.#options.store?.settled(epoch, settled);
    }
    this.#stated = this.#stated.filter(({ seq, end }) => !this.#current.settled.has(seq, end));
    this.#inFlight = this.#inFlight.filter(({ epoch, seq, end }) => !this.#progressOf(epoch).settled.has(seq, end));
    this.#held.atMs = -Infinity;
  }

  /** What was on its way may be lost: everything that is not acknowledged is to be sent again. */
  linkChanged(): void {
    this.#expire();
    this.#asks.clear();
    this.tick();
  }

  /** Looks at the time; to be called some times a second. */
  tick(): void {
    const nowMs = this.#nowMs();
    const { link } = this.#options;
    if (link.hasNoHub(nowMs)) this.#assumeTaken(nowMs);
    const oldest = this.#inFlight[0];
    if (oldest && nowMs - oldest.sentAtMs > ACK_TIMEOUT_MS) this.#expire();
    this.#spoolIfNeeded();
    if (!link.isConnected || this.#pass || !this.#hasDue()) return;
    const { epoch } = this.#options;
    const earlier = (this.#options.store?.epochs() ?? []).filter((other) => other !== epoch);
    this.#pass = { epochs: [...earlier, epoch], seq: 0 };
    this.#held.atMs = -Infinity;
  }

  #expire(): void {
    this.#inFlight = [];
    this.#pass = undefined;
    for (const [epoch, progress] of this.#progress) {
      progress.expire();
      const isOver = progress !== this.#current && !this.#options.store?.epochs().includes(epoch);
      if (isOver) this.#progress.delete(epoch);
    }
  }

  #assumeTaken(nowMs: number): void {
    for (let i = this.#firstUnsettled(); i < this.#history.length; i++) {
      const { connection, sentAtMs, seq, end } = this.#history.at(i)!;
      if (nowMs - sentAtMs < ASSUMED_TAKEN_MS) break;
      if (connection === this.#options.link.connection) this.#current.settle(seq, end);
    }
  }

  #firstUnsettled(from = 0): number {
    const seq = this.#current.settled.firstMissing(Math.max(from, this.#history.first), this.#end);
    return seq === undefined ? this.#history.length : this.#history.placeOf(seq);
  }

  /** Without a hub that takes them, batches go to the store, oldest first. */
  #spoolIfNeeded(): void {
    const { store } = this.#options;
    if (!store || !this.#isHubAway()) return;
    for (let i = this.#history.placeOf(this.#spooledTo); i < this.#history.length; i++) {
      const entry = this.#history.at(i)!;
      if (!this.#current.settled.has(entry.seq, entry.end)) {
        entry.spooled = store.append(entry);
        if (!entry.spooled) return;
      }
      this.#spooledTo = entry.end;
    }
  }

  #isHubAway(): boolean {
    const { link } = this.#options;
    const nowMs = this.#nowMs();
    if (!link.isConnected) return true;
    if (link.hasNoHub(nowMs)) return false;
    const oldest = this.#history.at(this.#firstUnsettled(this.#spooledTo));
    return oldest !== undefined && nowMs - oldest.sentAtMs > ACK_TIMEOUT_MS;
  }

  #isDue(entry: HistoryEntry, nowMs: number): boolean {
    const { link } = this.#options;
    if (this.#current.out.has(entry.seq, entry.end)) return false;
    if (entry.connection !== link.connection) return true;
    if (link.hasNoHub(nowMs)) return false;
    const ageMs = nowMs - entry.sentAtMs;
    return ageMs > ACK_TIMEOUT_MS || (ageMs > PASSED_OVER_MS && entry.end <= this.#current.settled.end);
  }

  #nextDue(from: number): HistoryEntry | undefined {
    const nowMs = this.#nowMs();
    const seq = this.#current.out.firstMissing(Math.max(from, this.#history.first), this.#end);
    if (seq === undefined) return undefined;
    for (let i = this.#history.placeOf(seq); i < this.#history.length; i++) {
      const entry = this.#history.at(i)!;
      if (this.#isDue(entry, nowMs)) return entry;
    }
    return undefined;
  }

  /** First number from `from` on that only the store has and that is not on its way. */
  #nextStored(epoch: number, from: number): number | undefined {
    const to = epoch === this.#options.epoch ? this.#history.first : Infinity;
    const { out } = this.#progressOf(epoch);
    for (const [first, end] of this.#options.store?.within(epoch, from, to) ?? []) {
      const missing = out.firstMissing(first, end);
      if (missing !== undefined) return missing;
    }
    return undefined;
  }

  #hasDue(): boolean {
    const { epoch, store } = this.#options;
    if (this.#nextDue(0) || this.#nextStored(epoch, 0) !== undefined) return true;
    return store?.epochs().some((other) => this.#nextStored(other, 0) !== undefined) ?? false;
  }

  /** The next batch that has to be sent again, in order; "later" while it is fetched. */
  nextBackfill(): StoredBatch | "later" | undefined {
    const pass = this.#pass;
    while (pass) {
      const [epoch] = pass.epochs;
      if (epoch === undefined) break;
      const stored = this.#nextStored(epoch, pass.seq);
      const batch =
        stored === undefined
          ? epoch === this.#options.epoch && this.#nextDue(pass.seq)
          : this.#options.store?.read(epoch, stored);
      if (batch) return batch;
      // A number that turned out not to be there is no longer in the store's ranges.
      if (stored !== undefined && this.#nextStored(epoch, pass.seq) !== stored) continue;
      pass.epochs.shift();
      pass.seq = 0;
    }
    this.#pass = undefined;
    return undefined;
  }

  /** Enters that a batch of `nextBackfill` was sent. */
  sent({ epoch, seq, end, payload }: StoredBatch): void {
    const { link } = this.#options;
    const sentAtMs = this.#nowMs();
    const progress = this.#progressOf(epoch);
    progress.out.add(seq, end);
    if (this.#pass) this.#pass.seq = end;
    const entry = epoch === this.#options.epoch ? this.#history.at(this.#history.placeOf(seq)) : undefined;
    if (entry?.seq === seq) {
      entry.connection = link.connection;
      entry.sentAtMs = sentAtMs;
    }
    if (link.hasNoHub(sentAtMs)) {
      progress.settle(seq, end);
      this.#options.store?.settled(epoch, progress.settled);
    } else {
      this.#inFlight.push({ epoch, seq, end, bytes: payload.length, sentAtMs });
    }
  }

  #heldNow(): number | undefined {
    if (!this.#pass && this.#inFlight.length === 0) return undefined;
    const nowMs = this.#nowMs();
    if (nowMs - this.#held.atMs > HELD_REFRESH_MS) this.#held = { value: this.#lowestHeld(), atMs: nowMs };
    return this.#held.value;
  }

  /** Lowest number of this epoch that is due, or on its way as backfill. */
  #lowestHeld(): number | undefined {
    const { epoch } = this.#options;
    const onItsWay = this.#inFlight.filter((batch) => batch.epoch === epoch).map(({ seq }) => seq);
    const candidates = [...onItsWay, this.#nextStored(epoch, 0), this.#nextDue(0)?.seq];
    const lowest = Math.min(...candidates.filter((seq) => seq !== undefined));
    return lowest === Infinity ? undefined : lowest;
  }

  /** Takes a request for frames. @returns an answer when it is refused */
  ask(request: BackfillRequest): BackfillResponse | undefined {
    return this.#asks.add(request);
  }

  /** The next batch that was asked for; answers are handed to `respond` when their turn comes. */
  nextAsked(respond: (response: BackfillResponse) => void): StoredBatch | "later" | undefined {
    for (let ask = this.#asks.first; ask; ask = this.#asks.first) {
      const batch = this.#isUnknown(ask) ? "later" : this.#nextOf(ask);
      if (batch === "later") return batch;
      if (batch) {
        ask.at = batch.end;
        return batch;
      }
      this.#asks.finish().forEach(respond);
    }
    return undefined;
  }

  /** Whether it cannot be said yet what there is of an earlier epoch. */
  #isUnknown({ epoch }: Ask): boolean {
    return epoch !== this.#options.epoch && this.#options.store?.isStarting === true;
  }

  /** What a request gets next; numbers that are nowhere are passed over and remembered as gone. */
  #nextOf(ask: Ask): StoredBatch | "later" | undefined {
    const to = ask.epoch === this.#options.epoch ? Math.min(ask.to, this.#end) : ask.to;
    while (ask.at < to) {
      const stored = this.#options.store?.firstKept(ask.epoch, ask.at, to) ?? Infinity;
      const kept = ask.epoch === this.#options.epoch ? this.#history.at(this.#history.placeOf(ask.at)) : undefined;
      const next = Math.min(stored, Math.max(kept?.seq ?? Infinity, ask.at), to);
      this.#skip(ask, next);
      if (next >= to) return undefined;
      if (kept && kept.seq <= next) return kept;
      const batch = this.#options.store?.read(ask.epoch, next);
      if (batch) return batch;
    }
    return undefined;
  }

  #skip(ask: Ask, to: number): void {
    Asks.skip(ask, to, this.#statements.placeOf(ask.epoch, ask.at) ?? "edge");
  }
}
