import {
  FLAG_FD,
  isErrorWord,
  isFdLength,
  isRemoteWord,
  isValidIdWord,
  MAX_CLASSIC_LENGTH,
  type FrameBatch,
} from "@canfleet/sdk";
import type { SendOutcome } from "../can-interface.ts";

/** The first row from `from` on that no bus can carry, or the count: error frames, ids and lengths that do not exist. */
export function firstUnsendable(batch: FrameBatch, from: number): number {
  for (let i = from; i < batch.count; i++) {
    if (!isSendable(batch.idWord[i]!, batch.length[i]!, batch.flags[i]!)) return i;
  }
  return batch.count;
}

function isSendable(idWord: number, length: number, flags: number): boolean {
  if (isErrorWord(idWord) || !isValidIdWord(idWord)) return false;
  if (flags & FLAG_FD) return !isRemoteWord(idWord) && isFdLength(length);
  return length <= MAX_CLASSIC_LENGTH;
}

/**
 * The outcome of a send that had the rows up to `sendable` to send.
 *
 * @param accepted rows taken, counted from `from`
 */
export function outcomeOf(batch: FrameBatch, from: number, sendable: number, accepted: number): SendOutcome {
  if (from + accepted < sendable) return { accepted, refusal: { kind: "no-buffer", errno: "ENOBUFS" } };
  if (sendable < batch.count) return { accepted, refusal: { kind: "unsupported", errno: "EINVAL" } };
  return { accepted };
}
