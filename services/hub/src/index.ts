export { Hub, type HubConfig } from "./hub.ts";
export type { HostPort } from "./address.ts";
export { DEFAULT_LIMITS, type HubLimits } from "./limits.ts";
export type { HubLog, LogLevel } from "./log.ts";
export type { BusView, EdgeView } from "./fleet.ts";
export type { BrokerCounts, ClientView } from "./broker.ts";
