export * from "./can-interface.ts";
export * from "./transmit.ts";
