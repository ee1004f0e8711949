import {
  busStateOf,
  isErrorWord,
  isRestart,
  rxErrorsOf,
  txErrorsOf,
  type CanBusState,
  type FrameBatch,
} from "@canfleet/sdk";

/** Least time between two calls of `onChange`, ms: a bus that flaps makes at most 10 events a second. */
const MIN_EVENT_INTERVAL_MS = 100;

/**
 * Follows the state of a bus's controller by its error frames, and counts them.
 *
 * A faulty bus can flood: 100,000 error frames a second cost a few ns each, and no more than 10 events.
 */
export class BusStateFollower {
  /** null: never told. */
  state: CanBusState | null = null;
  /** Transmit error counter as last told, 0–255; null: not told since the controller started. */
  txErrors: number | null = null;
  /** Receive error counter as last told, 0–255; null: not told since the controller started. */
  rxErrors: number | null = null;
  /** Error frames read. */
  errorFrames = 0;
  /** Restarts after bus-off. */
  restarts = 0;
  /** Changes of `state`, also those between two events. */
  changes = 0;
  readonly #onChange: () => void;
  /** State of the last event. */
  #announced: CanBusState | null = null;
  #pause: NodeJS.Timeout | undefined;

  /** @param onChange `state` is another one than at the last call: at once, but at most every 100 ms */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Looks for error frames in what was received. */
  observe(batch: FrameBatch): void {
    for (let i = 0; i < batch.count; i++) {
      if (isErrorWord(batch.idWord[i]!)) this.#observeError(batch, i);
    }
    this.#announce();
  }

  #observeError(batch: FrameBatch, i: number): void {
    this.errorFrames++;
    if (isRestart(batch.idWord[i]!)) {
      this.restarts++;
      // Those of the controller before its restart mean nothing any more.
      this.txErrors = null;
      this.rxErrors = null;
    }
    this.txErrors = txErrorsOf(batch, i) ?? this.txErrors;
    this.rxErrors = rxErrorsOf(batch, i) ?? this.rxErrors;
    const state = busStateOf(batch, i);
    if (state !== null) this.#setState(state);
  }

  /** Takes over what another source says, or with null that nothing is known any more. */
  tell(state: CanBusState | null, txErrors: number | null, rxErrors: number | null): void {
    this.txErrors = txErrors;
    this.rxErrors = rxErrors;
    this.#setState(state);
    this.#announce();
  }

  #setState(state: CanBusState | null): void {
    if (state === this.state) return;
    this.state = state;
    this.changes++;
  }

  #announce(): void {
    if (this.state === this.#announced || this.#pause) return;
    this.#announced = this.state;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#announce();
    }, MIN_EVENT_INTERVAL_MS);
    this.#onChange();
  }

  /** No event comes after this. */
  close(): void {
    clearTimeout(this.#pause);
    this.#announced = this.state;
    this.#pause = undefined;
  }
}
