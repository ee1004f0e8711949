import type { Credentials, Identity, LoginRefusal } from "./access/identity.ts";
import type { SendVerdict } from "./access/send-check.ts";
import { parseSendGrant } from "./access/send-grants.ts";

/** Who gets in, and who may do what that `policy.ts` leaves open (docs/security.md). */
export interface Authorization {
  /** Who this is, or why nobody: "wrong" refuses the connection with CONNACK 5, "later" with CONNACK 3. */
  identify(credentials: Credentials): Promise<Identity | LoginRefusal>;
  mayPublish(identity: Identity, message: Publication): boolean;
  /** What becomes of a send request that `mayPublish` let through. */
  checkSend(identity: Identity, edge: string, bus: string, payload: Uint8Array): SendVerdict;
  maySubscribe(identity: Identity, topicFilter: string): boolean;
  /** Whether an identity is still what it was: false once it was removed, changed, logged out, or has expired. */
  stillHolds(identity: Identity): boolean;
  /** Tells a listener each time that `stillHolds` may have changed. @returns ends it */
  onChange(listener: () => void): () => void;
}

/** A message that somebody wants to publish. */
export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

const ANYBODY: Identity = { name: "anybody", kind: "anybody", role: "admin", send: [parseSendGrant("+/+:all")] };

/** Lets everybody in who can reach the hub. */
export const openToAll: Authorization = {
  identify: () => Promise.resolve(ANYBODY),
  mayPublish: () => true,
  checkSend: (_identity, _edge, _bus, payload) => ({ forward: payload }),
  maySubscribe: () => true,
  stillHolds: () => true,
  onChange: () => () => undefined,
};
