import type { CheckedConfig } from "../config.ts";
import { Spool } from "./spool/spool.ts";
import type { EdgeLog } from "../log.ts";

const HOUR_MS = 3_600_000;

/** The spool of an edge, if it is to have one. `onReady`: something can be read that could not be before. */
export function makeSpool({ name, ledger }: CheckedConfig, log: EdgeLog, onReady: () => void): Spool | undefined {
  if (!ledger.spool) return undefined;
  const { dir, maxBytes, segmentBytes, maxAgeHours, keepSeconds, policy } = ledger.spool;
  const maxAgeMs = maxAgeHours === undefined ? undefined : maxAgeHours * HOUR_MS;
  const limits = { maxBytes, segmentBytes, maxAgeMs, keepMs: keepSeconds * 1_000, policy };
  return new Spool({ folder: dir, edge: name, ...limits, log, onReady });
}
