import type { FrameBatch } from "./frame-batch.ts";
import { isErrorWord } from "./id.ts";

/**
 * Error frames: what a CAN controller's driver reports of its own state and of faults that it saw, in the form of a
 * frame that was never on the wire (linux/can/error.h, 8 data bytes).
 *
 * | where     | content                                                                               |
 * | --------- | ------------------------------------------------------------------------------------- |
 * | id 0–28   | classes, `ERROR_CLASS_*`; several may be set                                          |
 * | data[0]   | LOSTARB: number of the bit in which arbitration was lost; 0 not known                 |
 * | data[1]   | CRTL: state of the controller, and its overflows                                      |
 * | data[2]   | PROT: kind of violation                                                               |
 * | data[3]   | PROT: place in the frame                                                              |
 * | data[4]   | TRX: state of the transceiver, CANH in bits 0–3, CANL in bits 4–7                     |
 * | data[5]   | reserved                                                                              |
 * | data[6,7] | CNT: transmit and receive error counter; without CNT they may be anything            |
 *
 * Bytes that a frame does not have count as 0.
 */
export const ERROR_CLASS_TX_TIMEOUT = 0x001;
export const ERROR_CLASS_LOST_ARBITRATION = 0x002;
export const ERROR_CLASS_CONTROLLER = 0x004;
export const ERROR_CLASS_PROTOCOL = 0x008;
export const ERROR_CLASS_TRANSCEIVER = 0x010;
export const ERROR_CLASS_NO_ACK = 0x020;
export const ERROR_CLASS_BUS_OFF = 0x040;
export const ERROR_CLASS_BUS_ERROR = 0x080;
export const ERROR_CLASS_RESTARTED = 0x100;
export const ERROR_CLASS_COUNTERS = 0x200;
const KNOWN_CLASSES = 0x3ff;
const CLASS_MASK = 0x1fffffff;

const CONTROLLER_WARNING = 0x04 | 0x08;
const CONTROLLER_PASSIVE = 0x10 | 0x20;
const CONTROLLER_ACTIVE = 0x40;

/** State of a controller, by the larger of its error counters: 0–95, 96–127, 128–255, 256 (linux/can/error.h). */
export type CanBusState = "error-active" | "error-warning" | "error-passive" | "bus-off";

type Names = readonly (readonly [value: number, text: string])[];

/** data[1], bits. */
const CONTROLLER: Names = [
  [0x01, "receive buffer overflow"],
  [0x02, "transmit buffer overflow"],
  [0x04, "receive errors at warning level"],
  [0x08, "transmit errors at warning level"],
  [0x10, "error-passive by receive errors"],
  [0x20, "error-passive by transmit errors"],
  [0x40, "error-active again"],
];

/** data[2], bits. */
const VIOLATION: Names = [
  [0x01, "bit error"],
  [0x02, "form error"],
  [0x04, "stuff error"],
  [0x08, "dominant bit could not be sent"],
  [0x10, "recessive bit could not be sent"],
  [0x20, "overload"],
  [0x40, "active error flag"],
  [0x80, "while transmitting"],
];

/** data[3], values. */
const PLACE: Names = [
  [0x02, "id bits 28–21"],
  [0x03, "start of frame"],
  [0x04, "substitute RTR bit"],
  [0x05, "IDE bit"],
  [0x06, "id bits 20–18"],
  [0x07, "id bits 17–13"],
  [0x08, "CRC sequence"],
  [0x09, "reserved bit 0"],
  [0x0a, "data field"],
  [0x0b, "data length code"],
  [0x0c, "RTR bit"],
  [0x0d, "reserved bit 1"],
  [0x0e, "id bits 4–0"],
  [0x0f, "id bits 12–5"],
  [0x12, "intermission"],
  [0x18, "CRC delimiter"],
  [0x19, "ACK slot"],
  [0x1a, "end of frame"],
  [0x1b, "ACK delimiter"],
];

/** data[4], bits 0–3: values. */
const CANH: Names = [
  [0x04, "CANH no wire"],
  [0x05, "CANH shorted to battery"],
  [0x06, "CANH shorted to VCC"],
  [0x07, "CANH shorted to ground"],
];

/** data[4], bits 4–7: values. */
const CANL: Names = [
  [0x40, "CANL no wire"],
  [0x50, "CANL shorted to battery"],
  [0x60, "CANL shorted to VCC"],
  [0x70, "CANL shorted to ground"],
  [0x80, "CANL shorted to CANH"],
];

/** Classes in the order in which they are told, each with what its bytes add. */
const CLASSES: readonly (readonly [mask: number, describe: (batch: FrameBatch, i: number) => string])[] = [
  [ERROR_CLASS_BUS_OFF, () => "bus-off"],
  [ERROR_CLASS_RESTARTED, () => "controller restarted"],
  [ERROR_CLASS_CONTROLLER, (batch, i) => withDetails("controller", bitNames(CONTROLLER, byteOf(batch, i, 1)))],
  [ERROR_CLASS_PROTOCOL, (batch, i) => describeViolation(byteOf(batch, i, 2), byteOf(batch, i, 3))],
  [ERROR_CLASS_NO_ACK, () => "no acknowledgement"],
  [ERROR_CLASS_LOST_ARBITRATION, (batch, i) => describeLostArbitration(byteOf(batch, i, 0))],
  [ERROR_CLASS_TX_TIMEOUT, () => "transmit timeout"],
  [ERROR_CLASS_TRANSCEIVER, (batch, i) => withDetails("transceiver", transceiverNames(byteOf(batch, i, 4)))],
  [ERROR_CLASS_BUS_ERROR, () => "bus error"],
  [ERROR_CLASS_COUNTERS, (batch, i) => `error counters tx ${byteOf(batch, i, 6)} rx ${byteOf(batch, i, 7)}`],
];

/**
 * What error frame `i` says, for people: `bus-off`, `controller: transmit errors at warning level; error counters tx
 * 96 rx 0`. Bits without a meaning in linux/can/error.h are told as hexadecimal numbers; a frame that is no error
 * frame gives an empty text.
 */
export function describeErrorFrame(batch: FrameBatch, i: number): string {
  const idWord = batch.idWord[i]!;
  if (!isErrorWord(idWord)) return "";
  const parts = CLASSES.filter(([mask]) => idWord & mask).map(([, describe]) => describe(batch, i));
  const unknown = idWord & CLASS_MASK & ~KNOWN_CLASSES;
  if (unknown !== 0) parts.push(`unknown class ${hex(unknown)}`);
  return parts.length === 0 ? "unspecified error" : parts.join("; ");
}

/**
 * State of the controller as told by frame `i`; null where it says nothing of it. Of several states the worst counts:
 * the transmitting and the receiving side have counters of their own.
 */
export function busStateOf(batch: FrameBatch, i: number): CanBusState | null {
  const idWord = batch.idWord[i]!;
  if (!isErrorWord(idWord)) return null;
  if (idWord & ERROR_CLASS_BUS_OFF) return "bus-off";
  const controller = idWord & ERROR_CLASS_CONTROLLER ? byteOf(batch, i, 1) : 0;
  if (controller & CONTROLLER_PASSIVE) return "error-passive";
  if (controller & CONTROLLER_WARNING) return "error-warning";
  // A controller that was restarted begins with its counters at 0 (`can_restart` of the kernel).
  return controller & CONTROLLER_ACTIVE || idWord & ERROR_CLASS_RESTARTED ? "error-active" : null;
}

/** Transmit error counter as told by frame `i`, 0–255; null where it tells none. */
export function txErrorsOf(batch: FrameBatch, i: number): number | null {
  return hasCounters(batch.idWord[i]!) ? byteOf(batch, i, 6) : null;
}

/** Receive error counter as told by frame `i`, 0–255; null where it tells none. */
export function rxErrorsOf(batch: FrameBatch, i: number): number | null {
  return hasCounters(batch.idWord[i]!) ? byteOf(batch, i, 7) : null;
}

/** Whether an id word reports that the controller was restarted after bus-off. */
export function isRestart(idWord: number): boolean {
  return isErrorWord(idWord) && (idWord & ERROR_CLASS_RESTARTED) !== 0;
}

function hasCounters(idWord: number): boolean {
  return isErrorWord(idWord) && (idWord & ERROR_CLASS_COUNTERS) !== 0;
}

function byteOf(batch: FrameBatch, i: number, offset: number): number {
  const at = batch.dataOffset[i]! + offset;
  return at < batch.dataOffset[i + 1]! ? batch.data[at]! : 0;
}

function describeLostArbitration(bit: number): string {
  return bit === 0 ? "arbitration lost" : `arbitration lost in bit ${bit}`;
}

function describeViolation(kind: number, place: number): string {
  const text = withDetails("protocol violation", bitNames(VIOLATION, kind));
  return place === 0 ? text : `${text} in ${valueName(PLACE, place)}`;
}

function transceiverNames(state: number): string[] {
  const names = [];
  if (state & 0x0f) names.push(valueName(CANH, state & 0x0f));
  if (state & 0xf0) names.push(valueName(CANL, state & 0xf0));
  return names;
}

function withDetails(what: string, details: readonly string[]): string {
  return details.length === 0 ? what : `${what}: ${details.join(", ")}`;
}

function bitNames(names: Names, bits: number): string[] {
  const found = names.filter(([mask]) => bits & mask).map(([, text]) => text);
  const unknown = names.reduce((rest, [mask]) => rest & ~mask, bits);
  return unknown === 0 ? found : [...found, hex(unknown)];
}

function valueName(names: Names, value: number): string {
  return names.find(([known]) => known === value)?.[1] ?? hex(value);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
