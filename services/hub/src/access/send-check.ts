import {
  decodeSendRequest,
  encodeSendReport,
  encodeSendRequest,
  isCanfleetError,
  type SendRequest,
} from "@canfleet/sdk";
import type { Identity } from "./identity.ts";
import { grantsFrame } from "./send-grants.ts";

/** What becomes of a send request: bytes for the edge, an answer on the edge's behalf, or nothing. */
export type SendVerdict = { forward: Uint8Array } | { answer: Uint8Array } | "unreadable";

/**
 * Looks at every frame of a send request. One that is not granted refuses the whole request, so that the frames of a
 * sequence never go out with holes; then each result is `denied`. What goes on carries who asked, written here.
 */
export function checkSend(identity: Identity, edge: string, bus: string, payload: Uint8Array): SendVerdict {
  let request: SendRequest;
  try {
    request = decodeSendRequest(payload);
  } catch (error) {
    if (!isCanfleetError(error)) throw error;
    return "unreadable";
  }
  const { nonce, ttlMs, at, frames } = request;
  for (let row = 0; row < frames.count; row++) {
    if (!grantsFrame(identity.send, edge, bus, frames.idWord[row]!)) return { answer: denied(request) };
  }
  return { forward: encodeSendRequest(nonce, ttlMs, frames, 0, frames.count, at, identity.name) };
}

function denied({ nonce, frames }: SendRequest): Uint8Array {
  const rows = Array.from({ length: frames.count });
  return encodeSendReport({ nonce, results: rows.map(() => "denied"), timestampsUs: rows.map(() => null) });
}
