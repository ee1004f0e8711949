import assert from "node:assert/strict";
import type { FrameBatch, FrameParts } from "@canfleet/sdk";
import type { CanInterface, CanSink, LinkState } from "../can-interface.ts";

/** Conditions are waited for; only a test that fails comes near this. */
const LIMIT_MS = 20_000;

/** A frame as a test compares it. */
export interface SeenFrame {
  idWord: number;
  length: number;
  dlc: number;
  flags: number;
  /** Payload in hex. */
  data: string;
  /** µs since 1970. */
  timestampUs: number;
  timestampNs: number;
}

/** A sink that keeps all it is given, and lets tests wait for it. */
export class Recorder implements CanSink {
  readonly seen: SeenFrame[] = [];
  readonly losses: (number | null)[] = [];
  readonly links: LinkState[] = [];
  readonly warnings: string[] = [];
  unknownFlags = 0;
  /** Called after each batch was taken down. */
  onFrames: ((batch: FrameBatch) => void) | undefined;

  frames(batch: FrameBatch): void {
    this.unknownFlags |= batch.unknownFlags;
    for (let i = 0; i < batch.count; i++) this.seen.push(rowOf(batch, i));
    this.onFrames?.(batch);
  }

  lost(frames: number | null): void {
    this.losses.push(frames);
  }

  link(state: LinkState): void {
    this.links.push(state);
  }

  warning(text: string): void {
    this.warnings.push(text);
  }

  end(): void {
    assert.fail("a live bus has no end");
  }

  /** Resolves with the frames when there are `count` of them. */
  async take(count: number): Promise<SeenFrame[]> {
    await until(
      () => this.seen.length >= count,
      `${count} frames`,
      () => `${this.seen.length} arrived`,
    );
    return this.seen;
  }

  /** Resolves when the last thing said of the link is `state`. */
  async linkIs(state: LinkState): Promise<void> {
    await until(
      () => this.links.at(-1) === state,
      `link ${state}`,
      () => this.links.join(", "),
    );
  }

  /** Frames that were counted as lost. */
  get lostFrames(): number {
    return this.losses.reduce<number>((sum, frames) => sum + (frames ?? 0), 0);
  }
}

function rowOf(batch: FrameBatch, i: number): SeenFrame {
  return {
    idWord: batch.idWord[i]!,
    length: batch.length[i]!,
    dlc: batch.dlc[i]!,
    flags: batch.flags[i]!,
    data: Buffer.from(batch.payload(i)).toString("hex"),
    timestampUs: batch.timestampUs[i]!,
    timestampNs: batch.timestampNs[i]!,
  };
}

/** Waits for a condition, for as long as it takes. */
export async function until(condition: () => boolean, what: string, found: () => string = () => ""): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!condition()) {
    if (Date.now() > end) assert.fail(`waited ${LIMIT_MS} ms for ${what}; ${found()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Sends every frame, trying again where the queue is full. */
export async function sendAll(bus: CanInterface, batch: FrameBatch): Promise<void> {
  let sent = 0;
  await until(
    () => {
      const outcome = bus.send(batch, sent);
      sent += outcome.accepted;
      if (outcome.refusal) assert.equal(outcome.refusal.kind, "no-buffer", outcome.refusal.errno);
      return sent === batch.count;
    },
    "the transmit queue",
    () => `${sent} of ${batch.count} sent`,
  );
}

/** `count` data frames, each telling its number. */
export function numbered(count: number, idWord = 0x123): FrameParts[] {
  return Array.from({ length: count }, (_, i) => ({ idWord, data: numberBytes(i) }));
}

export function numberBytes(i: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, i);
  return bytes;
}

/** The numbers that `numbered` wrote. */
export function numbersOf(frames: readonly SeenFrame[]): number[] {
  return frames.map((frame) => parseInt(frame.data.slice(0, 8), 16));
}
