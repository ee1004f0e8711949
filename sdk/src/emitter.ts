type Listener<A extends unknown[]> = (...args: A) => void;

/** A small typed event emitter, for Node and browsers alike. A listener that throws does not keep others from hearing. */
export class Emitter<Events extends { [name: string]: unknown[] }> {
  readonly #listeners = new Map<keyof Events, Listener<never>[]>();
  readonly #failed: (error: unknown) => void;

  /** @param failed told what a listener threw */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  on<E extends keyof Events>(event: E, listener: Listener<Events[E]>): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  once<E extends keyof Events>(event: E, listener: Listener<Events[E]>): void {
    const once: Listener<Events[E]> = (...args) => {
      this.off(event, once);
      listener(...args);
    };
    this.on(event, once);
  }

  off<E extends keyof Events>(event: E, listener: Listener<Events[E]>): void {
    const left = (this.#listeners.get(event) ?? []).filter((known) => known !== listener);
    this.#listeners.set(event, left);
  }

  has(event: keyof Events): boolean {
    return (this.#listeners.get(event)?.length ?? 0) > 0;
  }

  emit<E extends keyof Events>(event: E, ...args: Events[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        (listener as Listener<Events[E]>)(...args);
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}
