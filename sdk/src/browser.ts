export * from "./errors.ts";
export * from "./redact.ts";
export { tlsFailure, type TlsFailure } from "./tls-failure.ts";
export * from "./can/id.ts";
export * from "./can/dlc.ts";
export * from "./can/frame-batch.ts";
export * from "./can/filter.ts";
export * from "./can/send-rule.ts";
export * from "./can/error-frame.ts";
export * from "./can/frame-bits.ts";
export * from "./can/message.ts";
export * from "./bus.ts";
export { BaseBus, type BaseBusOptions } from "./base-bus.ts";
export { encodeBatch, decodeBatch, MAX_DT_US } from "./wire/batch.ts";
export * from "./wire/range-set.ts";
export * from "./wire/ack.ts";
export * from "./wire/backfill-request.ts";
export * from "./wire/batch-notes.ts";
export * from "./wire/clock-message.ts";
export * from "./wire/send-request.ts";
export * from "./wire/topics.ts";
export * from "./control/control-request.ts";
export * from "./control/control-response.ts";
export { ControlError } from "./control/control-error.ts";
export type { BusControl, ControlTenure } from "./control/bus-control-client.ts";
export { Continuity } from "./continuity.ts";
export * from "./heard-clock.ts";
export * from "./hub-addresses.ts";
export * from "./hub-connection.ts";
export * from "./mqtt-bus.ts";
export { CompleteOrder, type CompleteOrderOptions, type OrderOutput } from "./order/complete-order.ts";
export { sendError } from "./send-error.ts";
export * from "./wire/record.ts";
export * from "./wire/link-lock.ts";
export * from "./wire/record-stream.ts";
export * from "./wire/host-record-stream.ts";
export {
  CLOCK_BYTES,
  EdgeEncoder,
  encodeEdgeClock,
  encodeHeartbeat,
  encodeHostFrame,
  encodeResult,
  MAX_LOSSES_BYTES,
  maxEncodedBytes,
  RESULT_BYTES,
  TAG_ASKED,
  TAG_CLOCK,
  tagOf,
} from "./wire/extended-link.ts";
export * from "./wire/extended-stream.ts";
export * from "./text/candump.ts";
export { formatLostLines, parseLostLine, type LostLine } from "./text/lost-line.ts";
export * from "./text/console.ts";
export * from "./text/frame-notation.ts";
