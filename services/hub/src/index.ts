export { Authority, makePrivateKey, type KeyPair } from "./pki/authority.ts";
export { Hub, type HubConfig } from "./hub.ts";
export type { HostPort } from "./address.ts";
export { DEFAULT_LIMITS, LIMIT_RANGES, type HubLimits, type NumericLimit } from "./limits.ts";
export type { HubLog, LogFields, LogLevel } from "./log.ts";
export type { BusView, EdgeView } from "./fleet.ts";
export type { BrokerCounts, ClientView } from "./broker.ts";
export {
  ACCESS_NAME_WANTED,
  accessFilePath,
  isAccessName,
  makeToken,
  readAccessFile,
  updateAccessFile,
  writeAccessFile,
  type AccessDraft,
  type AccessEntry,
  type AccessList,
} from "./access/access-file.ts";
export type { Role } from "./access/identity.ts";
export { hashPassword } from "./access/password-hash.ts";
export { parseSendGrant } from "./access/send-grants.ts";
