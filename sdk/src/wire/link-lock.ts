import { viewOf } from "./byte-tail.ts";
import {
  encodeHostSignal,
  encodeSignal,
  GREETING_SIZE,
  HELLO_SIZE,
  hostSignalAt,
  isSilentFrameAt,
  putSignalTime,
  putSilentFrame,
  signalAt,
  SIGNAL_CODE_AT,
} from "./record.ts";

/** Bytes of the random number that each end makes for one connection. */
export const RANDOM_BYTES = 32;
/** Bytes of a proof: HMAC-SHA-256. */
export const PROOF_BYTES = 32;
const DATA_BYTES = 8;
const DATA_AT = 13;

/** Challenge of an edge (docs/wire-tcp.md 5.2): a signal, and its random number as four more error frames. */
export const CHALLENGE_BYTES = GREETING_SIZE * (1 + RANDOM_BYTES / DATA_BYTES);
/** Signal, random number and proof of a host. */
export const HOST_PROOF_BYTES = HELLO_SIZE + RANDOM_BYTES + PROOF_BYTES;
/** Accept and proof of an edge. */
export const EDGE_PROOF_BYTES = GREETING_SIZE + PROOF_BYTES;

/** Why an end does not go on: it wants a token and was shown none; it has none; it has another one. */
export type RefusalCode = "wanted" | "none" | "wrong";
const CODES: readonly (RefusalCode | undefined)[] = [undefined, "wanted", "none", "wrong"];

/** @param random 32 bytes, new for each connection */
export function encodeChallenge(random: Uint8Array, nowUs: number): Uint8Array {
  const bytes = new Uint8Array(CHALLENGE_BYTES);
  bytes.set(encodeSignal("challenge", nowUs));
  for (let n = 0; n * DATA_BYTES < RANDOM_BYTES; n++) {
    const at = GREETING_SIZE * (1 + n);
    putSignalTime(bytes, at, nowUs);
    putSilentFrame(bytes, at + 8, random.subarray(n * DATA_BYTES, (n + 1) * DATA_BYTES));
  }
  return bytes;
}

/** The random number of the challenge that the bytes begin with, which are long enough; undefined: they do not. */
export function decodeChallenge(bytes: Uint8Array): Uint8Array | undefined {
  const view = viewOf(bytes);
  if (signalAt(bytes, view, 0) !== "challenge") return undefined;
  const random = new Uint8Array(RANDOM_BYTES);
  for (let n = 0; n * DATA_BYTES < RANDOM_BYTES; n++) {
    const at = GREETING_SIZE * (1 + n);
    if (!isSilentFrameAt(bytes, view, at + 8)) return undefined;
    random.set(bytes.subarray(at + DATA_AT, at + DATA_AT + DATA_BYTES), n * DATA_BYTES);
  }
  return random;
}

/** What a host answers a challenge with. */
export function encodeHostProof(random: Uint8Array, proof: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HOST_PROOF_BYTES);
  bytes.set(encodeHostSignal("challenge"));
  bytes.set(random, HELLO_SIZE);
  bytes.set(proof, HELLO_SIZE + RANDOM_BYTES);
  return bytes;
}

/** Number and proof out of a whole host's proof. */
export function decodeHostProof(bytes: Uint8Array): { random: Uint8Array; proof: Uint8Array } {
  const split = HELLO_SIZE + RANDOM_BYTES;
  return { random: bytes.slice(HELLO_SIZE, split), proof: bytes.slice(split, HOST_PROOF_BYTES) };
}

/** What an edge answers a host's proof with. */
export function encodeEdgeProof(proof: Uint8Array, nowUs: number): Uint8Array {
  const bytes = new Uint8Array(EDGE_PROOF_BYTES);
  bytes.set(encodeSignal("accept", nowUs));
  bytes.set(proof, GREETING_SIZE);
  return bytes;
}

/** The proof out of a whole edge's one. */
export function decodeEdgeProof(bytes: Uint8Array): Uint8Array {
  return bytes.slice(GREETING_SIZE, EDGE_PROOF_BYTES);
}

/** A refusal by the end in this role. */
export function encodeRefusal(role: "edge" | "host", code: RefusalCode, nowUs: number): Uint8Array {
  const number = CODES.indexOf(code);
  return role === "edge" ? encodeSignal("refusal", nowUs, number) : encodeHostSignal("refusal", number);
}

/** The code of the refusal that a host's 13 bytes at `at` are; undefined: they are none, or of a later version. */
export function refusalAt(bytes: Uint8Array, at: number): RefusalCode | undefined {
  if (hostSignalAt(bytes, viewOf(bytes), at) !== "refusal") return undefined;
  return CODES[bytes[at + SIGNAL_CODE_AT]!];
}
