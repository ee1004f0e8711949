/** Lets a loop sleep until there is something to do. */
export class Wakeup {
  #isSet = false;
  #wake: (() => void) | undefined;

  wake(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Ends at a `wake` since the last wait, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#isSet) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#isSet = false;
  }
}
