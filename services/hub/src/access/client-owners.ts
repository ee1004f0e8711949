import type { Identity } from "./identity.ts";

interface Owner {
  key: string;
  connections: number;
  hasSession: boolean;
}

/** Whose a client id is for as long as it is connected or has a session: nobody else may take it over. */
export class ClientOwners {
  readonly #owners = new Map<string, Owner>();

  /** Whether this identity may connect under this client id. */
  mayTake(clientId: string, identity: Identity): boolean {
    const owner = this.#owners.get(clientId);
    return owner === undefined || owner.key === keyOf(identity);
  }

  /**
   * One more connection of the owner; call `mayTake` and whatever bounds the number of sessions before.
   *
   * @param clean false: the session outlives the connection
   * @returns call it when the connection has ended
   */
  take(clientId: string, identity: Identity, clean: boolean): () => void {
    const owner = this.#owners.get(clientId) ?? { key: keyOf(identity), connections: 0, hasSession: false };
    owner.connections++;
    owner.hasSession = !clean;
    this.#owners.set(clientId, owner);
    return () => {
      owner.connections--;
      if (owner.connections === 0 && !owner.hasSession) this.#owners.delete(clientId);
    };
  }

  /** The session of a client id has ended. */
  sessionEnded(clientId: string): void {
    const owner = this.#owners.get(clientId);
    if (!owner) return;
    owner.hasSession = false;
    if (owner.connections === 0) this.#owners.delete(clientId);
  }
}

function keyOf({ kind, name }: Identity): string {
  return `${kind}:${name}`;
}
