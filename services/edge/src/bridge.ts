import { FLAG_ECHO, isErrorWord, passesFilters, type Bus, type CanFilter, type FrameBatch } from "@canfleet/sdk";

export interface BridgeOptions {
  /** Frames travel from a to b only. Default false. */
  oneWay?: boolean;
  /** What may pass, both ways. Default: everything. */
  filters?: readonly CanFilter[];
  /** ms within which a frame must be on the other bus. Default 500. */
  ttlMs?: number;
}

export interface BridgeCounters {
  /** Frames handed on. */
  forwarded: { aToB: number; bToA: number };
  /** Frames that were refused or could not be handed on. */
  refused: { aToB: number; bToA: number };
}

/** How long the echo of a forwarded frame is waited for, ms. */
const ECHO_MEMORY_MS = 5_000;

/**
 * Joins two buses. What it puts on one bus and hears again as its echo it does not carry back; every other frame of a
 * bus goes over, other senders' echoes included. Error frames stay where they are.
 */
export class Bridge {
  readonly counters: BridgeCounters = { forwarded: { aToB: 0, bToA: 0 }, refused: { aToB: 0, bToA: 0 } };
  readonly #stops: (() => void)[] = [];

  /** Works from now on; the buses stay the caller's to shut down. */
  constructor(a: Bus, b: Bus, options: BridgeOptions = {}) {
    const echoesOnA = new EchoMemory();
    const echoesOnB = new EchoMemory();
    this.#join(a, b, "aToB", echoesOnA, echoesOnB, options);
    if (options.oneWay) this.#watchErrors(b, "aToB");
    else this.#join(b, a, "bToA", echoesOnB, echoesOnA, options);
  }

  #join(from: Bus, to: Bus, way: "aToB" | "bToA", echoes: EchoMemory, sent: EchoMemory, options: BridgeOptions): void {
    const filters = options.filters ?? [];
    const onBatch = (batch: FrameBatch): void => {
      const passed = selectFrames(batch, filters, echoes);
      if (passed.count === 0) return;
      sent.remember(passed);
      this.counters.forwarded[way] += passed.count;
      to.sendBatch(passed, { ttlMs: options.ttlMs ?? 500 }).catch(() => {
        this.counters.forwarded[way] -= passed.count;
        this.counters.refused[way] += passed.count;
        sent.forget(passed);
      });
    };
    from.on("batch", onBatch);
    this.#stops.push(() => from.off("batch", onBatch));
    if (!options.oneWay) this.#watchErrors(from, way === "aToB" ? "bToA" : "aToB");
  }

  /** A bus tells by `error` events what was refused on the way onto it. */
  #watchErrors(onto: Bus, way: "aToB" | "bToA"): void {
    const onError = (): void => {
      this.counters.refused[way]++;
    };
    onto.on("error", onError);
    this.#stops.push(() => onto.off("error", onError));
  }

  /** Nothing more is carried over. */
  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }
}

function selectFrames(batch: FrameBatch, filters: readonly CanFilter[], echoes: EchoMemory): FrameBatch {
  const mayPass = (from: FrameBatch, i: number): boolean =>
    !isErrorWord(from.idWord[i]!) && passesFilters(filters, from.idWord[i]!) && !echoes.take(from, i);
  return batch.filter(mayPass);
}

/** Frames that the bridge put on a bus and has not heard there yet, by content. */
class EchoMemory {
  readonly #expected = new Map<string, number[]>();
  #sweepAt = 0;

  remember(batch: FrameBatch): void {
    const now = performance.now();
    this.#sweep(now);
    for (let i = 0; i < batch.count; i++) {
      const key = keyOf(batch, i);
      const until = this.#expected.get(key) ?? [];
      until.push(now + ECHO_MEMORY_MS);
      this.#expected.set(key, until);
    }
  }

  forget(batch: FrameBatch): void {
    for (let i = 0; i < batch.count; i++) this.#takeKey(keyOf(batch, i));
  }

  /** Whether row `i` is the echo of a remembered frame; each is taken once. */
  take(batch: FrameBatch, i: number): boolean {
    // Where the carrier marks echoes, an unmarked frame is somebody else's, even with the same content.
    const unmarked = (batch.unknownFlags & FLAG_ECHO) === 0 && (batch.flags[i]! & FLAG_ECHO) === 0;
    return !unmarked && this.#takeKey(keyOf(batch, i));
  }

  #takeKey(key: string): boolean {
    const until = this.#expected.get(key);
    if (!until) return false;
    const now = performance.now();
    while (until.length > 0 && until[0]! < now) until.shift();
    const found = until.shift() !== undefined;
    if (until.length === 0) this.#expected.delete(key);
    return found;
  }

  #sweep(now: number): void {
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + ECHO_MEMORY_MS;
    for (const [key, until] of this.#expected) {
      if (until[until.length - 1]! < now) this.#expected.delete(key);
    }
  }
}

function keyOf(batch: FrameBatch, i: number): string {
  return `${batch.idWord[i]!}:${batch.dlc[i]!}:${batch.payload(i).toString()}`;
}
