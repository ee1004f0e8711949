import { constants } from "node:os";
import { isCanfleetError, type ErrorCode } from "@canfleet/sdk";
import { UsageError } from "./usage-error.ts";

/** Why a command should end before its work is done. */
export type StopReason = NodeJS.Signals | "output-closed" | "output-failed";

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_UNREACHABLE = 3;
export const EXIT_NOT_ALLOWED = 4;
export const EXIT_NOT_SENT = 5;
/** As mosquitto_sub's `-W`. */
export const EXIT_TIMED_OUT = 27;
/** EX_CONFIG of sysexits.h: systemd's RestartPreventExitStatus can tell it from a crash. */
export const EXIT_CONFIG = 78;

/** What each exit code promises, for docs/cli.md. */
export const EXIT_CODE_MEANINGS: Readonly<Record<string, string>> = {
  [EXIT_DONE]: "done; for `edge`, `hub`, `demo` and `bridge` also after Ctrl-C or SIGTERM",
  [EXIT_FAILED]: "failed",
  [EXIT_USAGE]: "wrong usage",
  [EXIT_UNREACHABLE]: "hub, edge or host not reachable",
  [EXIT_NOT_ALLOWED]: "not allowed",
  [EXIT_NOT_SENT]: "frame not sent, with the reason",
  [EXIT_TIMED_OUT]: "timed out before the asked count",
  [EXIT_CONFIG]: "configuration refused",
  "128 + n": "ended by signal n",
};

const EXIT_CODE_OF: Readonly<Partial<Record<ErrorCode, number>>> = {
  LINK_CLOSED: EXIT_UNREACHABLE,
  LINK_UNREACHABLE: EXIT_UNREACHABLE,
  LINK_STALLED: EXIT_UNREACHABLE,
  LINK_REFUSED: EXIT_NOT_ALLOWED,
  HUB_UNREACHABLE: EXIT_UNREACHABLE,
  HUB_REFUSED: EXIT_NOT_ALLOWED,
  HUB_UNSAFE_ADDRESS: EXIT_CONFIG,
  SEND_DENIED: EXIT_NOT_ALLOWED,
  SEND_EXPIRED: EXIT_NOT_SENT,
  SEND_NO_ANSWER: EXIT_NOT_SENT,
  SEND_NO_BUFFER: EXIT_NOT_SENT,
  SEND_BUS_OFF: EXIT_NOT_SENT,
  SEND_FAILED: EXIT_NOT_SENT,
  SEND_QUEUE_FULL: EXIT_NOT_SENT,
  WIRE_CANNOT_CARRY: EXIT_NOT_SENT,
  WIRE_BAD_TOPIC: EXIT_USAGE,
  TEXT_BAD_FRAME: EXIT_USAGE,
  CONFIG_INVALID: EXIT_CONFIG,
};

/** The exit code that says what was thrown: 0–255. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT_USAGE;
  if (isCanfleetError(error)) return EXIT_CODE_OF[error.code] ?? EXIT_FAILED;
  return EXIT_FAILED;
}

/** The exit code of a program that a signal ended, as shells give it: 130 for SIGINT. */
export function exitCodeOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** The exit code of a command that was asked to end before its work was done. */
export function exitCodeOfStop(reason: StopReason | undefined): number {
  if (reason === "output-failed") return EXIT_FAILED;
  return reason === undefined || reason === "output-closed" ? EXIT_DONE : exitCodeOfSignal(reason);
}
