import { Duplex } from "node:stream";
import { Inbound, type Offer } from "./inbound.ts";
import { Outbound } from "./outbound.ts";
import { encodePacket, Mqtt5Fault, REASON } from "./properties.ts";
import { Mqtt5Session } from "./session.ts";

export interface Mqtt5Options {
  offer: Offer;
  /** Largest packet now, bytes, fixed header not counted. */
  limitBytes: () => number;
  /** A packet was against MQTT 5, or too large. */
  onFault: (fault: "mqtt5" | "too-large") => void;
}

const CONNACK = 0x20;
const DISCONNECT = 0xe0;
/** How long a peer may take to close its end, ms. */
const HANG_UP_MS = 200;

/** An MQTT 5 client's connection as the broker sees it: one of MQTT 3.1.1 (docs/mqtt5.md). */
export class Mqtt5Stream extends Duplex {
  /** The connection itself. */
  readonly transport: Duplex;
  /** Why the hub hangs up, for DISCONNECT. */
  closeReason: number = REASON.unspecified;
  readonly session = new Mqtt5Session();
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #options: Mqtt5Options;
  #hasSaidGoodbye = false;

  constructor(transport: Duplex, options: Mqtt5Options) {
    super({ allowHalfOpen: false });
    this.transport = transport;
    this.#options = options;
    this.#inbound = new Inbound(this.session, options.offer, options.limitBytes);
    this.#outbound = new Outbound(this.session, (bytes) => void transport.write(bytes));
    transport.on("data", (chunk: Buffer) => this.#receive(chunk));
    transport.once("end", () => this.push(null));
    transport.once("close", () => this.destroy());
  }

  #receive(chunk: Buffer): void {
    if (this.destroyed || this.#inbound.hasLeft()) return;
    try {
      for (const packet of this.#inbound.take(chunk)) if (!this.push(packet)) this.transport.pause();
      // Without a DISCONNECT of 3.1.1 the broker publishes the will.
      if (this.#inbound.hasLeft()) this.push(null);
    } catch (error) {
      if (!(error instanceof Mqtt5Fault)) throw error;
      this.#options.onFault(error.reason === REASON.tooLarge ? "too-large" : "mqtt5");
      this.#refuse(error);
    }
  }

  #refuse(fault: Mqtt5Fault): void {
    this.closeReason = fault.reason;
    if (!this.#outbound.isConnected) this.transport.write(encodePacket(CONNACK, Buffer.of(0, fault.reason, 0)));
    this.destroy(fault);
  }

  override _read(): void {
    this.transport.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#outbound.take(chunk);
    this.#whenTaken(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.transport.cork();
    for (const { chunk } of chunks) this.#outbound.take(chunk);
    this.transport.uncork();
    this.#whenTaken(done);
  }

  /** What waits is counted here, where the bounds of the hub look. */
  #whenTaken(done: () => void): void {
    if (this.transport.writableNeedDrain) this.transport.once("drain", done);
    else done();
  }

  override _final(done: () => void): void {
    this.#sayGoodbye();
    this.transport.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { transport } = this;
    // A peer that does not read would not hear it.
    if (transport.writableLength === 0) this.#sayGoodbye();
    if (transport.destroyed || transport.writableNeedDrain) transport.destroy();
    else {
      transport.end();
      transport.resume();
      setTimeout(() => transport.destroy(), HANG_UP_MS).unref();
    }
    done(error);
  }

  #sayGoodbye(): void {
    const isHeard = this.#outbound.isConnected && !this.#inbound.hasLeft() && this.transport.writable;
    if (isHeard && !this.#hasSaidGoodbye) this.transport.write(encodePacket(DISCONNECT, Buffer.of(this.closeReason)));
    this.#hasSaidGoodbye = true;
  }
}

/** The connection itself, whatever translates in front of it. */
export function transportOf(conn: Duplex): Duplex {
  return conn instanceof Mqtt5Stream ? conn.transport : conn;
}
