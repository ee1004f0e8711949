import type { SlowPath } from "./mqtt/publish-shortcut.ts";

/** The parts of an Aedes 1.2 client that its types do not show. `broker.test.ts` fails when one of them changes. */
export interface WorkingClient {
  connackSent: boolean;
  closed: boolean;
  /** Called once for each packet, when all that it causes is done, and by `resume`. */
  _nextBatch: (error?: Error) => void;
  _paused?: boolean;
  /** No more is read from now on, until `resume`. */
  pause: () => void;
  /** Called at the end of CONNECT, besides `_nextBatch`. */
  resume: () => void;
  _keepaliveInterval: number;
  _keepaliveTimer: NodeJS.Timeout | null;
}

/** Counts the packets that Aedes was handed and has not done with, for one client. */
export class ClientWork implements SlowPath {
  readonly #client: WorkingClient;
  #unfinished = 0;

  /** @param client one that has been made just now, and has read nothing */
  constructor(client: WorkingClient) {
    this.#client = client;
    const next = this.#client._nextBatch;
    this.#client._nextBatch = (error) => {
      this.#unfinished--;
      next(error);
    };
    client.resume = () => {
      client._paused = false;
      next();
    };
  }

  get isIdle(): boolean {
    const { connackSent, closed } = this.#client;
    return connackSent && !closed && this.#unfinished === 0;
  }

  began(): void {
    this.#unfinished++;
  }

  /** A packet that Aedes does not see shows that the client is alive, too (MQTT 3.1.1, 3.1.2.10). */
  heard(): void {
    if (this.#client._keepaliveInterval > 0) this.#client._keepaliveTimer?.refresh();
  }
}
