/** Helpers of the driver tests. */
import assert from "node:assert/strict";
import type { FrameBatch } from "@canfleet/sdk";
import { addLosses, formatFrame, type Losses } from "@canfleet/sdk";
import type { CanSink, LinkState } from "../can-interface.ts";

/** Longest wait for something that must happen; generous, since it decides nothing but how long a failure takes. */
const LIMIT_MS = 20_000;

/** Waits until a condition holds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!holds()) {
    assert.ok(Date.now() < endMs, `waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Keeps all that a driver says. */
export class RecordingSink implements CanSink {
  readonly batches: FrameBatch[] = [];
  readonly losses: Losses = {};
  readonly lossCalls: (number | null)[] = [];
  readonly links: LinkState[] = [];
  readonly warnings: string[] = [];
  ends = 0;

  frames(batch: FrameBatch): void {
    this.batches.push(batch.clone());
  }

  lost(frames: number | null): void {
    this.lossCalls.push(frames);
    addLosses(this.losses, { kernel: frames });
  }

  link(state: LinkState): void {
    this.links.push(state);
  }

  warning(text: string): void {
    this.warnings.push(text);
  }

  end(): void {
    this.ends++;
  }

  get count(): number {
    return this.batches.reduce((sum, batch) => sum + batch.count, 0);
  }

  /** All frames as cansend writes them. */
  get texts(): string[] {
    return this.batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i) => formatFrame(batch, i)));
  }

  get flags(): number[] {
    return this.batches.flatMap((batch) => [...batch.flags.subarray(0, batch.count)]);
  }

  get timestampsUs(): number[] {
    return this.batches.flatMap((batch) => [...batch.timestampUs.subarray(0, batch.count)]);
  }
}
