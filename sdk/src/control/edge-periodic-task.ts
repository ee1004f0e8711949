import type { PeriodicTask } from "../bus.ts";
import { FrameBatch } from "../can/frame-batch.ts";
import type { Message } from "../can/message.ts";
import { CanfleetError, isCanfleetError } from "../errors.ts";
import { ControlError } from "./control-error.ts";
import type { KeptTask } from "./control-response.ts";

/** What a task needs from its bus. */
export interface PeriodicHost {
  /** Makes the edge keep the task, or changes its frame. */
  keep(frame: FrameBatch): Promise<KeptTask | undefined>;
  /** Ends it at the edge, if it is there. */
  stopAtEdge(): void;
  /** Keeps it here, with a timer. */
  sendFromApp(message: Message): PeriodicTask;
  reportError(error: Error): void;
  /** It ended, or somebody else keeps it now. */
  changed(): void;
}

/** A periodic send that an edge keeps, or the app where the edge will not. */
export class EdgePeriodicTask implements PeriodicTask {
  readonly #host: PeriodicHost;
  #message: Message;
  #keptAtEdge: "kernel" | "edge" | undefined;
  #inApp: PeriodicTask | undefined;
  #isEnded = false;
  #isAsking = false;
  #mustAskAgain = false;
  /** Renewals in a row that did not find it. */
  #missing = 0;

  constructor(message: Message, host: PeriodicHost) {
    this.#message = message;
    this.#host = host;
  }

  get keptBy(): "kernel" | "edge" | "app" | undefined {
    return this.#inApp ? "app" : this.#keptAtEdge;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  stop(): void {
    if (this.#isEnded) return;
    this.#end();
    this.#host.stopAtEdge();
  }

  modify(message: Message): void {
    if (message.idWord !== this.#message.idWord) throw new RangeError("a periodic send keeps its arbitration id");
    this.#message = message;
    if (this.#isEnded) return;
    if (this.#inApp) this.#inApp.modify(message);
    // Asked while the app keeps it: the edge must get the newest frame, too.
    if (!this.#inApp || this.#isAsking) this.make();
  }

  /** Makes the edge keep the task as it is now; one request at a time, the newest frame wins. */
  make(): void {
    this.#mustAskAgain = true;
    if (!this.#isAsking) void this.#askUntilCurrent();
  }

  async #askUntilCurrent(): Promise<void> {
    this.#isAsking = true;
    while (this.#mustAskAgain && !this.#isEnded) {
      this.#mustAskAgain = false;
      await this.#ask();
    }
    this.#isAsking = false;
  }

  async #ask(): Promise<void> {
    try {
      const kept = await this.#host.keep(FrameBatch.of(this.#message.toParts()));
      if (this.#isEnded) return;
      this.#inApp?.stop();
      this.#inApp = undefined;
      this.#keptAtEdge = kept?.keptBy ?? "edge";
      this.#missing = 0;
      this.#host.changed();
    } catch (error) {
      if (!this.#isEnded) this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    // Made again after the next connect; until the lease is over the edge goes on with what it has.
    if (isCanfleetError(error, "HUB_UNREACHABLE")) return;
    const isDenied = error instanceof ControlError && error.controlCode === "denied";
    // Also where the edge did not answer: it may have heard, and must not send beside the app.
    this.#host.stopAtEdge();
    if (isDenied || !isCanfleetError(error)) {
      this.#end();
      this.#host.reportError(error as Error);
      return;
    }
    this.#keptAtEdge = undefined;
    this.#inApp ??= this.#host.sendFromApp(this.#message);
    this.#host.changed();
  }

  /**
   * What a renewal found of the task at the edge.
   *
   * @param mayHaveLapsed the lease may have ended before it was renewed
   * @returns whether it must be made again
   */
  renewed(kept: KeptTask | undefined, mayHaveLapsed: boolean): boolean {
    if (this.#isAsking || this.#inApp || !this.#keptAtEdge) return false;
    if (kept) {
      this.#keptAtEdge = kept.keptBy;
      this.#missing = 0;
      return false;
    }
    if (mayHaveLapsed) return true;
    // Once may be an edge that was just restarted: it says so itself, and the task is made again.
    if (++this.#missing < 2) return false;
    this.#end();
    this.#host.reportError(new CanfleetError("CONTROL_LOST", "a periodic send was ended at the edge"));
    return false;
  }

  #end(): void {
    this.#isEnded = true;
    this.#keptAtEdge = undefined;
    this.#inApp?.stop();
    this.#inApp = undefined;
    this.#host.changed();
  }
}
