import { CanfleetError, type ErrorCode } from "./errors.ts";
import type { SendCode } from "./wire/send-request.ts";

const SEND_ERRORS: { [code in Exclude<SendCode, "sent">]: [ErrorCode, string] } = {
  denied: ["SEND_DENIED", "the edge does not allow this frame from here"],
  expired: ["SEND_EXPIRED", "the frame was not on the bus within its time to live"],
  "no-buffer": ["SEND_NO_BUFFER", "the transmit queue stayed full"],
  "bus-off": ["SEND_BUS_OFF", "the interface is down or bus-off"],
  unsupported: ["WIRE_CANNOT_CARRY", "this bus cannot carry the frame"],
  failed: ["SEND_FAILED", "the frame was refused"],
  duplicate: ["SEND_FAILED", "the request was seen before"],
};

/** The error for a frame that was not sent. */
export function sendError(code: Exclude<SendCode, "sent">, channel: string): CanfleetError {
  const [errorCode, text] = SEND_ERRORS[code];
  const retryable = code === "expired" || code === "no-buffer" || code === "bus-off";
  return new CanfleetError(errorCode, `${channel}: ${text}`, { retryable });
}
