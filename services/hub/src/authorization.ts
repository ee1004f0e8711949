/**
 * Who may do what. Nobody is known yet: the hub listens on loopback unless it is told to trust its network, and
 * everybody who reaches it may do all that `policy.ts` leaves open. Authentication comes in through this interface.
 */
export interface Authorization {
  /** Who this is; undefined refuses the connection (CONNACK 5). */
  identify(credentials: Credentials): Promise<Identity | undefined>;
  mayPublish(identity: Identity, topic: string): boolean;
  maySubscribe(identity: Identity, topicFilter: string): boolean;
}

export interface Credentials {
  clientId: string;
  username: string | undefined;
  password: Uint8Array | undefined;
}

export interface Identity {
  name: string;
}

const ANYBODY: Identity = { name: "anybody" };

/** Lets everybody in. */
export const openToAll: Authorization = {
  identify: () => Promise.resolve(ANYBODY),
  mayPublish: () => true,
  maySubscribe: () => true,
};
