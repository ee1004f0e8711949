/** Whether clients may come, and why not; the words are those of `/readyz`. */
export type ReadyState = "starting" | "ready" | "broker unreachable" | "draining";

/** One of the hub's own clients, without which it is not ready. */
export interface ReadyPart {
  readonly isConnected: boolean;
  /** Whether it has subscribed to what it follows; stays so. */
  readonly isSubscribed: boolean;
}

/** Follows a hub from its start to its end. */
export class Readiness {
  readonly #parts: readonly ReadyPart[];
  #isDraining = false;

  /** @param parts all of them have to be ready */
  constructor(parts: readonly ReadyPart[]) {
    this.#parts = parts;
  }

  get state(): ReadyState {
    if (this.#isDraining) return "draining";
    if (!this.#parts.every(({ isSubscribed }) => isSubscribed)) return "starting";
    return this.#parts.every(({ isConnected }) => isConnected) ? "ready" : "broker unreachable";
  }

  /** The hub is about to end: it is never ready again. */
  drain(): void {
    this.#isDraining = true;
  }
}
