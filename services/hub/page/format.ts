const WHOLE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

export const UNKNOWN = "–";

/** A whole number with thousands separators; a dash where it is not known. */
export function formatCount(value: number | null | undefined): string {
  return value === null || value === undefined ? UNKNOWN : WHOLE.format(value);
}

/** About three significant digits: 0.25, 2.50, 25.0, 250. */
export function formatThreeDigits(value: number): string {
  if (value >= 99.95) return WHOLE.format(value);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

export function formatPercent(value: number | null): string {
  return value === null ? UNKNOWN : `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
}

export function formatBitrate(bitsPerSecond: number | null): string {
  return bitsPerSecond === null ? UNKNOWN : `${bitsPerSecond / 1000} kbit/s`;
}

export function formatAge(ms: number | null): string {
  if (ms === null) return UNKNOWN;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

export function formatByte(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

/** `+0.3 ms`, `−3.2 s` */
export function formatOffset(us: number | null): string {
  if (us === null) return UNKNOWN;
  const sign = us < 0 ? "−" : "+";
  const size = Math.abs(us);
  if (size < 1e6) return `${sign}${(size / 1e3).toFixed(size < 1e4 ? 1 : 0)} ms`;
  return `${sign}${(size / 1e6).toFixed(size < 1e8 ? 1 : 0)} s`;
}

/** `640 kB`, `12.3 MB` */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return UNKNOWN;
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
