import { Spool, type SpoolOptions } from "./spool.ts";

/** A spool of 1 MB in segments of 20 kB that keeps no log and nothing that was acknowledged. */
export function smallSpool(folder: string, options: Partial<SpoolOptions> = {}): Spool {
  return new Spool({
    folder,
    edge: "a",
    maxBytes: 1_000_000,
    segmentBytes: 20_000,
    maxAgeMs: undefined,
    keepMs: 0,
    policy: "drop-oldest",
    log: () => undefined,
    onReady: () => undefined,
    ...options,
  });
}
