import type { Credentials, Identity, LoginRefusal } from "./access/identity.ts";
import { parseSendGrant } from "./access/send-grants.ts";

/** Who gets in, and who may do what that `policy.ts` leaves open (docs/security.md). */
export interface Authorization {
  /** Who this is, or why nobody: "wrong" refuses the connection with CONNACK 5, "later" with CONNACK 3. */
  identify(credentials: Credentials): Promise<Identity | LoginRefusal>;
  mayPublish(identity: Identity, topic: string, retain: boolean): boolean;
  maySubscribe(identity: Identity, topicFilter: string): boolean;
  /** Whether an identity is still what it was: false once it was removed, changed, logged out, or has expired. */
  stillHolds(identity: Identity): boolean;
  /** Tells a listener each time that `stillHolds` may have changed. @returns ends it */
  onChange(listener: () => void): () => void;
}

const ANYBODY: Identity = { name: "anybody", kind: "anybody", role: "admin", send: [parseSendGrant("+/+:all")] };

/** Lets everybody in who can reach the hub. */
export const openToAll: Authorization = {
  identify: () => Promise.resolve(ANYBODY),
  mayPublish: () => true,
  maySubscribe: () => true,
  stillHolds: () => true,
  onChange: () => () => undefined,
};
