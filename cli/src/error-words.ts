import { arbitrationIdOf, type FrameBatch } from "@canfleet/sdk";

/** Error classes by bit of the id word (linux/can/error.h), in candump's words. */
const CLASSES = [
  "tx-timeout",
  "lost-arbitration",
  "controller-problem",
  "protocol-violation",
  "transceiver-status",
  "no-acknowledgement-on-tx",
  "bus-off",
  "bus-error",
  "restarted-after-bus-off",
];
const LOST_ARBITRATION = 1;
const CONTROLLER_PROBLEM = 2;
const PROTOCOL_VIOLATION = 3;

/** Data byte 1, by bit. */
const CONTROLLER_PROBLEMS = [
  "rx-overflow",
  "tx-overflow",
  "rx-error-warning",
  "tx-error-warning",
  "rx-error-passive",
  "tx-error-passive",
  "back-to-error-active",
];

/** Data byte 2, by bit. */
const PROTOCOL_VIOLATIONS = [
  "single-bit-error",
  "frame-format-error",
  "bit-stuffing-error",
  "tx-dominant-bit-error",
  "tx-recessive-bit-error",
  "bus-overload",
  "active-error",
  "error-on-tx",
];

/** Data byte 3: where in the frame. */
const LOCATIONS: Readonly<Record<number, string>> = {
  0x02: "id.28-to-id.21",
  0x03: "start-of-frame",
  0x04: "bit-srtr",
  0x05: "bit-ide",
  0x06: "id.20-to-id.18",
  0x07: "id.17-to-id.13",
  0x08: "crc-sequence",
  0x09: "reserved-bit-0",
  0x0a: "data-field",
  0x0b: "data-length-code",
  0x0c: "bit-rtr",
  0x0d: "reserved-bit-1",
  0x0e: "id.4-to-id.0",
  0x0f: "id.12-to-id.5",
  0x12: "intermission",
  0x18: "crc-delimiter",
  0x19: "acknowledge-slot",
  0x1a: "end-of-frame",
  0x1b: "acknowledge-delimiter",
};

/** What an error frame reports, as candump -e words it: one entry a line. Row `i` must be an error frame. */
export function errorWords(batch: FrameBatch, i: number): string[] {
  const classes = arbitrationIdOf(batch.idWord[i]!);
  const data = batch.payload(i);
  const words = CLASSES.flatMap((name, bit) => (classes & (1 << bit) ? [name + details(bit, data)] : []));
  const [txErrors = 0, rxErrors = 0] = data.subarray(6, 8);
  if (txErrors > 0 || rxErrors > 0) words.push(`error-counter-tx-rx{{${txErrors}}{${rxErrors}}}`);
  return words;
}

function details(classBit: number, data: Uint8Array): string {
  if (classBit === LOST_ARBITRATION) return `{at bit ${data[0] ?? 0}}`;
  if (classBit === CONTROLLER_PROBLEM) return `{${bitNames(CONTROLLER_PROBLEMS, data[1] ?? 0)}}`;
  if (classBit !== PROTOCOL_VIOLATION) return "";
  return `{{${bitNames(PROTOCOL_VIOLATIONS, data[2] ?? 0)}}{${LOCATIONS[data[3] ?? 0] ?? "unspecified"}}}`;
}

function bitNames(names: readonly string[], bits: number): string {
  return names.filter((_, bit) => bits & (1 << bit)).join(",");
}
