export * from "./can-interface.ts";
export * from "./transmit.ts";
export * from "./config.ts";
export { LocalBus, type LocalBusOptions } from "./local-bus.ts";
export { Bridge, type BridgeCounters, type BridgeOptions } from "./bridge.ts";
export { findRing, type BridgeAnnouncement } from "./bridge-ring.ts";
export { BridgeRegistry } from "./bridge-registry.ts";
export { hostId, localBusName } from "./host.ts";
export { VERSION } from "./version.ts";
