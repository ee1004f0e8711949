import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** A password as it is kept: scrypt (RFC 7914) with its parameters. */
export interface PasswordHash {
  /** Cost, a power of 2. 2^10–2^17; memory is 128 · N · r bytes. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
  /** 16 bytes, base64. */
  readonly salt: string;
  /** 32 bytes, base64. */
  readonly hash: string;
}

/** 32 MiB and about 0.1 s on a Raspberry Pi's bigger sisters. */
export const DEFAULT_COST = { N: 2 ** 15, r: 8, p: 1 } as const;
const MAX_COST = { N: 2 ** 17, r: 16, p: 4 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** @param cost default `DEFAULT_COST` */
export async function hashPassword(
  password: string,
  cost: Pick<PasswordHash, "N" | "r" | "p"> = DEFAULT_COST,
): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(Buffer.from(password, "utf8"), salt, cost);
  return { N: cost.N, r: cost.r, p: cost.p, salt: salt.toString("base64"), hash: hash.toString("base64") };
}

/** Whether it is this password; takes the same time either way. */
export async function verifyPassword(password: Uint8Array, kept: PasswordHash): Promise<boolean> {
  const hash = await derive(password, Buffer.from(kept.salt, "base64"), kept);
  return timingSafeEqual(hash, Buffer.from(kept.hash, "base64"));
}

/** Reads what a file holds; undefined when it is no hash that could be checked at a bearable cost. */
export function readPasswordHash(value: unknown): PasswordHash | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { N, r, p, salt, hash } = value as { [key: string]: unknown };
  const isCost = isWhole(N, 2 ** 10, MAX_COST.N) && isWhole(r, 1, MAX_COST.r) && isWhole(p, 1, MAX_COST.p);
  if (!isCost || (N & (N - 1)) !== 0) return undefined;
  if (!isBase64(salt, SALT_BYTES) || !isBase64(hash, HASH_BYTES)) return undefined;
  return { N, r, p, salt, hash };
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isBase64(value: unknown, bytes: number): value is string {
  return typeof value === "string" && Buffer.from(value, "base64").length === bytes;
}

/** Off the event loop, in libuv's threads. */
function derive(
  password: Uint8Array,
  salt: Uint8Array,
  { N, r, p }: Pick<PasswordHash, "N" | "r" | "p">,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // The library's default limit of 32 MiB is just too small for the default cost.
    scrypt(password, salt, HASH_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
