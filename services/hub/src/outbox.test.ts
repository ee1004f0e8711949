import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Outbox, TurnEnd, type EvictionReason } from "./outbox.ts";

const LIMITS = { maxQueuedBytes: 4_000_000, stallMs: 30_000, slowMs: 60_000 };
const STEP_MS = 100;
const JUDGE_MS = 1_000;

/** A connection whose peer takes as much as it is told to; a write is over when all of it was taken, as with a socket. */
class Peer extends Duplex {
  #left = 0;
  #done: (() => void) | undefined;

  constructor() {
    super({ writableHighWaterMark: 16_384 });
  }

  override _read(): void {
    // It sends nothing.
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#left = chunks.reduce((sum, { chunk }) => sum + chunk.length, 0);
    this.#done = done;
  }

  /** The stream hands over what waits as soon as a write is over. */
  reads(bytes: number): void {
    for (let left = bytes; left > 0 && this.#done;) {
      const taken = Math.min(left, this.#left);
      left -= taken;
      this.#left -= taken;
      if (this.#left > 0) return;
      const done = this.#done;
      this.#done = undefined;
      done();
    }
  }
}

interface Rates {
  /** Bytes written in a step of 100 ms, and taken. */
  written: number;
  taken: number;
}

/** @returns why and when the peer was to be disconnected, ms */
async function judge(
  seconds: number,
  ratesAt: (ms: number) => Rates,
): Promise<{ reason: EvictionReason; ms: number } | undefined> {
  const peer = new Peer();
  const outbox = new Outbox(peer, new TurnEnd(), LIMITS, 0);
  for (let ms = 0; ms < seconds * 1_000; ms += STEP_MS) {
    const { written, taken } = ratesAt(ms);
    for (let left = written; left > 0; left -= 2_000) {
      if (outbox.hasRoomFor(2_000)) outbox.write(new Uint8Array(2_000));
      else outbox.droppedMessages++;
    }
    await turn();
    peer.reads(taken);
    const reason = ms % JUDGE_MS === 0 ? outbox.verdict(ms) : undefined;
    if (reason) return { reason, ms };
  }
  return undefined;
}

describe("whether a peer is too slow", () => {
  for (const share of [0.15, 0.3, 0.4, 0.6, 0.9]) {
    it(`finds one that takes ${share} of what there is, although it reads`, async () => {
      const verdict = await judge(200, () => ({ written: 100_000, taken: share * 100_000 }));
      assert.ok(verdict, "it was not found");
      // The queue fills first: 2 MB at what is written and not taken.
      const fullMs = (LIMITS.maxQueuedBytes / 2 / (1 - share) / 1_000_000) * 1_000;
      assert.ok(verdict.ms <= fullMs + LIMITS.slowMs + 15_000, `${verdict.reason} after ${verdict.ms} ms`);
    });
  }

  it("finds one whose queue is full, then empty, then full again", async () => {
    const verdict = await judge(200, () => ({ written: 500_000, taken: 50_000 }));
    assert.ok(verdict && verdict.ms <= 90_000, JSON.stringify(verdict));
  });

  it("leaves one alone that falls behind with each burst and is even again before the next", async () => {
    const burst = (ms: number): Rates => ({ written: ms % 10_000 === 0 ? 3_500_000 : 10_000, taken: 100_000 });
    assert.equal(await judge(300, burst), undefined);
  });

  it("leaves one alone that was slow for a while", async () => {
    const recovering = (ms: number): Rates => ({ written: 50_000, taken: ms < 50_000 ? 10_000 : 100_000 });
    assert.equal(await judge(300, recovering), undefined);
  });
});
