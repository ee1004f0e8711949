/**
 * Every code that a `CanfleetError` can carry, with what it means. Codes are stable; texts are not.
 * Grouped by layer: `CAN_` a bus, `WIRE_` bytes from a peer, `LINK_` a connection, `HUB_` the broker,
 * `SEND_` a frame that was not sent, `CONTROL_` what an edge was asked to set or keep, `TEXT_` a file or argument, `CONFIG_` settings.
 */
export const ERROR_CODES = {
  CAN_NO_SUCH_INTERFACE: "the CAN interface does not exist on this machine",
  CAN_INTERFACE_DOWN: "the CAN interface exists but is down",
  CAN_NO_DRIVER: "no driver for this kind of bus can be loaded here",
  CAN_OPEN_FAILED: "the bus could not be opened",
  CAN_UNSUPPORTED: "this driver or interface cannot do what was asked",
  WIRE_BAD_RECORD: "bytes on a raw link are not records",
  WIRE_BAD_BATCH: "a CBOR batch is not as docs/wire-mqtt.md says",
  WIRE_BAD_SEND_REQUEST: "a CBOR send request or result is not as docs/wire-mqtt.md says",
  WIRE_BAD_REQUEST: "a certificate request, or the answer to one, is not as docs/enrolment.md says",
  WIRE_BAD_TOPIC: "an edge, bus or base name cannot be part of a topic",
  WIRE_CANNOT_CARRY: "the frame has parts that this carrier cannot hold",
  LINK_PORT_IN_USE: "another program listens on this address and port",
  LINK_CLOSED: "the connection was closed, or the bus shut down",
  LINK_UNREACHABLE: "the peer could not be reached",
  LINK_STALLED: "the peer took or sent nothing for too long",
  LINK_REFUSED: "the peer may not connect here",
  HUB_UNREACHABLE: "the hub could not be reached",
  HUB_REFUSED: "the hub refused the connection, subscription or publication, or its certificate is not trusted",
  HUB_UNSAFE_ADDRESS: "the hub would listen beyond this machine without authentication",
  SEND_DENIED: "the edge, or the hub for who asks, does not allow this frame",
  SEND_EXPIRED: "the frame was not on the bus before its time to live ended",
  SEND_NO_ANSWER: "the edge did not answer in time: nobody can tell whether the frame was on the bus",
  SEND_NO_BUFFER: "the interface's transmit queue stayed full",
  SEND_BUS_OFF: "the controller is bus-off or the interface is down",
  SEND_FAILED: "the kernel or the edge refused the frame",
  SEND_QUEUE_FULL: "too many frames wait to be sent",
  CONTROL_REFUSED: "the edge refused a control request; its own code is in controlCode",
  CONTROL_NO_ANSWER: "the edge did not answer a control request",
  CONTROL_LOST: "a setting or periodic send at the edge was changed or ended by another",
  TEXT_BAD_FRAME: "text that should be a frame is not",
  TEXT_BAD_LINE: "a line of a log file is not a frame",
  TEXT_NO_FILE: "a file cannot be read or written",
  CONFIG_INVALID: "one or more settings are wrong",
  BRIDGE_RING: "the bridge would let frames travel in a circle",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An expected failure: match on `code`, show `message`. */
export class CanfleetError extends Error {
  readonly code: ErrorCode;
  /** Whether the same call may succeed later without anything being changed by hand. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CanfleetError";
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Whether something caught is a `CanfleetError`, of one code when given. */
export function isCanfleetError(error: unknown, code?: ErrorCode): error is CanfleetError {
  return error instanceof CanfleetError && (code === undefined || error.code === code);
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
