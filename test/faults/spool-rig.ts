import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EdgeConfig, SpoolConfig } from "@canfleet/edge";
import { Gate } from "./gate.ts";
import { Rig } from "./rig.ts";

/** 100 batches/s of 2 kB: a busy machine keeps up, and memory alone is full after 0.3 s. */
export const LOAD = { batchesPerSecond: 100, framesPerBatch: 32 };
export const SEGMENT_BYTES = 65_536;
/**
 * What an edge that is killed may lose: what its spool gathers before it writes, what its batcher had open, and a turn of
 * a machine that does other things, frames.
 */
export const KILL_SLACK = 32 * 100;
const HISTORY_BYTES = 65_536;

/** What an edge with a spool of small segments is told, and little memory besides it. */
export function withSpool(
  rig: Rig,
  { url }: { url: string },
  limits: Partial<SpoolConfig> = {},
  name = "a",
): Partial<EdgeConfig> {
  return {
    hub: url,
    ledger: {
      historyBytes: HISTORY_BYTES,
      spool: { dir: spoolOf(rig, name), segmentBytes: SEGMENT_BYTES, keepSeconds: 0, ...limits },
    },
  };
}

/** The hub stays, so that its subscriber hears everything; for the edges it goes away. */
export async function start(t: TestContext): Promise<{ rig: Rig; gate: Gate }> {
  const rig = await Rig.start(t);
  const gate = await Gate.to(rig.port);
  t.after(() => gate.shut());
  return { rig, gate };
}

export function spoolOf(rig: Rig, name = "a"): string {
  return join(rig.folder, `spool-${name}`);
}

/** Names of the segments, the oldest first. */
export function segments(rig: Rig, name = "a"): string[] {
  return segmentsIn(spoolOf(rig, name));
}

export function segmentsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".spool"))
    .sort((a, b) => ordinalOf(a) - ordinalOf(b));
}

function ordinalOf(file: string): number {
  return Number(file.split("-").at(-2));
}

export function spoolBytes(rig: Rig): number {
  let bytes = 0;
  for (const file of segments(rig)) {
    try {
      bytes += statSync(join(spoolOf(rig), file)).size;
    } catch {
      // Deleted just now.
    }
  }
  return bytes;
}

export async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 60_000; !isSo();) {
    assert.ok(performance.now() < endMs, `${what} within 60 s`);
    await sleep(50);
  }
}

/** A batch in a segment. */
export interface WrittenBatch {
  file: string;
  /** Where its record lies in the file. */
  from: number;
  to: number;
  epoch: number;
  /** Its numbers. */
  seq: number;
  end: number;
  payload: Buffer;
}

/** Every whole batch of segments that nobody has damaged, read as docs/spool.md 2 has it. */
export function readSegments(folder: string): WrittenBatch[] {
  return segmentsIn(folder).flatMap((file) => {
    const bytes = readFileSync(join(folder, file));
    const batches: WrittenBatch[] = [];
    for (let at = 128; at + 64 <= bytes.length;) {
      assert.equal(bytes.toString("latin1", at, at + 4), "CFSR", `${file} at ${at}`);
      const to = at + 64 + bytes.readUInt32LE(at + 4);
      if (to > bytes.length) break;
      const seq = Number(bytes.readBigUInt64LE(at + 24));
      if (bytes.readUInt32LE(at + 12) === 1) {
        const epoch = Number(bytes.readBigUInt64LE(at + 16));
        const payload = bytes.subarray(at + 64, to);
        batches.push({ file, from: at, to, epoch, seq, end: seq + bytes.readUInt32LE(at + 40), payload });
      }
      at = to;
    }
    return batches;
  });
}
