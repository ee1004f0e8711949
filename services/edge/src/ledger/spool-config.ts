import type { SpoolPolicy } from "./spool/spool.ts";

/** Where and how much an edge writes to disk while no hub takes its batches (docs/spool.md). */
export interface SpoolConfig {
  /** Folder, for this edge alone; made when it is not there. */
  dir: string;
  /** Limit of all buses together, bytes, twice `segmentBytes` to 1 TiB. Default 256 MiB. */
  maxBytes?: number;
  /** Size of one file, about, bytes, 64 KiB–64 MiB. Default 4 MiB. */
  segmentBytes?: number;
  /** Batches older than this are dropped, hours, 0.001–100,000. Default: no limit. */
  maxAgeHours?: number;
  /** How long what the hub has taken stays for subscribers that come back later, s, 0–3,600. Default 60. */
  keepSeconds?: number;
  /** What goes when the limit is reached. Default "drop-oldest". */
  policy?: SpoolPolicy;
}

/** A spool's settings with their defaults. */
export type SpoolLimits = Required<Omit<SpoolConfig, "maxAgeHours">> & Pick<SpoolConfig, "maxAgeHours">;

const DEFAULTS = {
  maxBytes: 256 * 1024 * 1024,
  segmentBytes: 4 * 1024 * 1024,
  keepSeconds: 60,
  policy: "drop-oldest",
} as const;
const POLICIES: readonly string[] = ["drop-oldest", "drop-newest"];

/** Fills in the defaults. @returns with what is wrong: key and text */
export function checkSpool(config: SpoolConfig): { spool: SpoolLimits; mistakes: { key: string; text: string }[] } {
  const spool: SpoolLimits = { ...DEFAULTS, ...config };
  const mistakes: { key: string; text: string }[] = [];
  const range = (key: "maxBytes" | "segmentBytes" | "maxAgeHours" | "keepSeconds", min: number, max: number): void => {
    const value = spool[key];
    if (value !== undefined && !(value >= min && value <= max))
      mistakes.push({ key, text: `expected ${min} to ${max}, got ${value}` });
  };
  if (spool.dir.trim() === "") mistakes.push({ key: "dir", text: "expected a folder" });
  range("segmentBytes", 65_536, 64 * 1024 * 1024);
  range("maxBytes", 2 * spool.segmentBytes, 2 ** 40);
  range("maxAgeHours", 0.001, 100_000);
  range("keepSeconds", 0, 3_600);
  if (!POLICIES.includes(spool.policy)) mistakes.push({ key: "policy", text: `expected ${POLICIES.join(" or ")}` });
  return { spool, mistakes };
}
