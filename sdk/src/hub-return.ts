/** What a return needs of the connection that it moves. */
export interface ReturnWay {
  /** Whether the preferred address answers, asked by a connection of its own. */
  preferredAnswers: () => Promise<boolean>;
  /** Leaves for the preferred address. */
  go: () => void;
}

/**
 * Brings a connection back to the preferred hub: never at once, only after it has been elsewhere for a set time, and
 * only when the preferred hub answers then. The time is lengthened at random by up to half, so that a fleet does not
 * move in one instant.
 */
export class HubReturn {
  readonly #afterMs: number;
  readonly #way: ReturnWay;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Connections so far: an answer that comes after the end of the one that asked is no news. */
  #stay = 0;

  constructor(afterMs: number, way: ReturnWay) {
    this.#afterMs = afterMs;
    this.#way = way;
  }

  /** There is a connection to another address than the preferred one. */
  connectedElsewhere(): void {
    this.cancel();
    this.#schedule(this.#stay);
  }

  #schedule(stay: number): void {
    const delayMs = this.#afterMs * (1 + Math.random() / 2);
    this.#timer = setTimeout(() => void this.#ask(stay), delayMs);
  }

  async #ask(stay: number): Promise<void> {
    const answers = await this.#way.preferredAnswers();
    if (stay !== this.#stay) return;
    if (answers) this.#way.go();
    else this.#schedule(stay);
  }

  /** The connection ended, or is to stay. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#stay++;
  }
}
