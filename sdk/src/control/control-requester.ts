import { CanfleetError } from "../errors.ts";
import { ControlError } from "./control-error.ts";
import { encodeControlRequest, readControlRequest, type ControlRequest } from "./control-request.ts";
import { decodeControlResponse, type BusSettings, type ControlResponse } from "./control-response.ts";

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
/** A request whose `id` is not chosen yet. */
export type ControlQuestion = WithoutId<ControlRequest>;

/** The way to one bus of an edge. */
export interface ControlCarrier {
  /** `edge/bus`, for error texts. */
  channel: string;
  /** Begins all request ids; another one for each client. */
  clientId: string;
  /** Makes answers come; called before the first request, again when it failed. */
  subscribe(): Promise<void>;
  /** Publishes a request. @returns false when it was not taken */
  publish(request: string): boolean;
}

/** How often a request without an answer is published again, ms: an edge that connects does not hear all at once. */
const REPEAT_MS = 1_000;

interface Pending {
  text: string;
  resolve(settings: BusSettings): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

/** Asks an edge and hands its answers to who asked (docs/wire-mqtt.md 3.5). Requests arrive in the order of the calls. */
export class ControlRequester {
  readonly #carrier: ControlCarrier;
  readonly #timeoutMs: number;
  readonly #pending = new Map<string, Pending>();
  #subscribed: Promise<void> | undefined;
  #requests = 0;
  #repeatTimer: ReturnType<typeof setInterval> | undefined;

  /** @param timeoutMs how long an answer is waited for */
  constructor(carrier: ControlCarrier, timeoutMs: number) {
    this.#carrier = carrier;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Asks, again each second until the answer comes: doing one twice is as doing it once.
   *
   * @returns rejects with a `ControlError`; CanfleetError `CONTROL_NO_ANSWER`, `HUB_UNREACHABLE`, `HUB_REFUSED`,
   *   `LINK_CLOSED`; RangeError for a question that no edge would take
   */
  ask(question: ControlQuestion): Promise<BusSettings> {
    const id = `${this.#carrier.clientId}-c${this.#requests++}`;
    const text = encodeControlRequest({ id, ...question });
    const wrong = problemOf(text);
    if (wrong !== undefined) return Promise.reject(new RangeError(wrong));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(id, this.#noAnswer(question.op)), this.#timeoutMs);
      this.#pending.set(id, { text, resolve, reject, timer });
      this.#repeatTimer ??= setInterval(() => this.repeat(), REPEAT_MS);
      this.#whenSubscribed().then(
        () => {
          // Closed or given up meanwhile: then nobody wants it any more.
          if (this.#pending.has(id) && !this.#carrier.publish(text)) this.#fail(id, this.#unreachable());
        },
        (error: unknown) => this.#fail(id, error as Error),
      );
    });
  }

  #whenSubscribed(): Promise<void> {
    if (this.#subscribed) return this.#subscribed;
    const subscribed = this.#carrier.subscribe();
    this.#subscribed = subscribed;
    subscribed.catch(() => (this.#subscribed = undefined));
    return subscribed;
  }

  /** Takes a message of the `response` topic, whoever it is for. */
  answered(payload: Uint8Array): void {
    if (this.#pending.size === 0) return;
    const response = decodeControlResponse(payload);
    const pending = response && this.#take(response.id);
    if (!pending) return;
    if (response.ok) pending.resolve(response.settings);
    else pending.reject(this.#refusal(response));
  }

  /** Publishes again what waits: the edge was not there to hear it. */
  repeat(): void {
    for (const { text } of this.#pending.values()) this.#carrier.publish(text);
  }

  /** Gives up what waits: the connection is lost, and an answer on its way with it. */
  disconnected(): void {
    for (const id of [...this.#pending.keys()]) this.#fail(id, this.#unreachable());
  }

  close(): void {
    for (const id of [...this.#pending.keys()])
      this.#fail(id, new CanfleetError("LINK_CLOSED", "the bus was shut down before the edge answered"));
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    clearTimeout(pending?.timer);
    this.#pending.delete(id);
    if (this.#pending.size === 0) {
      clearInterval(this.#repeatTimer);
      this.#repeatTimer = undefined;
    }
    return pending;
  }

  #fail(id: string, error: Error): void {
    this.#take(id)?.reject(error);
  }

  #refusal({ op, code, error }: ControlResponse & { ok: false }): ControlError {
    return new ControlError(code, `${this.#carrier.channel}: ${op}: ${error}`);
  }

  #noAnswer(op: string): CanfleetError {
    const text = `${this.#carrier.channel}: ${op}: no answer from the edge within ${this.#timeoutMs} ms`;
    return new CanfleetError("CONTROL_NO_ANSWER", text, { retryable: true });
  }

  #unreachable(): CanfleetError {
    return new CanfleetError("HUB_UNREACHABLE", `${this.#carrier.channel}: the hub is not connected`, {
      retryable: true,
    });
  }
}

/** What an edge would find wrong with a request, found here where the caller's stack shows it. */
function problemOf(text: string): string | undefined {
  const read = readControlRequest(new TextEncoder().encode(text));
  if (read.kind === "problem") return read.problem.error;
  return read.kind === "request" ? undefined : "the request is longer than 16 KiB";
}
