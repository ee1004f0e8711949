export * from "./errors.ts";
export * from "./can/id.ts";
export * from "./can/dlc.ts";
export * from "./can/frame-batch.ts";
export * from "./can/filter.ts";
export * from "./can/message.ts";
export * from "./bus.ts";
export { BaseBus, type BaseBusOptions } from "./base-bus.ts";
