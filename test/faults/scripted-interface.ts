import type { CanCapabilities, CanInterface, CanSink, SendOutcome, SendRefusal } from "@canfleet/edge";
import { FLAG_ECHO, FLAG_OWN, FrameBatch } from "@canfleet/sdk";

/** A bus whose faults a test decides: what it reads is put in by `read`, what is sent meets `refusal` and `mostAtOnce`. */
export class ScriptedInterface implements CanInterface {
  readonly channel: string;
  readonly driver = "native";
  readonly capabilities: CanCapabilities = {
    fd: false,
    ownFrames: "marked",
    timestamps: "kernel",
    losses: "counted",
    sendErrors: "errno",
    filters: "driver",
    canSend: true,
    unknownFlags: 0,
  };
  /** Why nothing is taken now; undefined: it is. */
  refusal: SendRefusal | undefined;
  /** Frames taken by one call of `send` at most, as with a short count of sendmmsg(2). */
  mostAtOnce = Infinity;
  /** First two bytes, big-endian, of each frame that was put on the bus, in order. */
  readonly written: number[] = [];
  #sink: CanSink | undefined;

  constructor(channel: string) {
    this.channel = channel;
  }

  open(sink: CanSink): Promise<void> {
    this.#sink = sink;
    return Promise.resolve();
  }

  /** The bus carries these frames. */
  read(batch: FrameBatch): void {
    this.#sink?.frames(batch);
  }

  send(batch: FrameBatch, from = 0): SendOutcome {
    if (this.refusal) return { accepted: 0, refusal: this.refusal };
    const accepted = Math.min(batch.count - from, this.mostAtOnce);
    const echo = new FrameBatch(accepted);
    for (let i = from; i < from + accepted; i++) {
      const data = batch.payload(i).slice();
      this.written.push((data[0]! << 8) | data[1]!);
      echo.push({ idWord: batch.idWord[i]!, data, flags: FLAG_OWN | FLAG_ECHO, timestampUs: Date.now() * 1000 });
    }
    setImmediate(() => this.#sink?.frames(echo));
    if (accepted === batch.count - from) return { accepted };
    return { accepted, refusal: { kind: "no-buffer", errno: "EAGAIN" } };
  }

  setFilters(): void {
    // All frames count.
  }

  close(): Promise<void> {
    this.#sink = undefined;
    return Promise.resolve();
  }
}
