import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocket } from "ws";
import { describe, idOf, PINGREQ, takePacket, type Received } from "./packets.ts";

/** How long a broker may say nothing, ms: ends a case that hangs, decides none. */
const PATIENCE_MS = 40_000;

/** A raw connection to a broker: sends any bytes, and reads packet by packet. */
export class Peer {
  readonly #stream: Duplex;
  #bytes: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #wake: () => void = () => undefined;
  /** The packet that was read last. */
  last: Received | undefined;

  private constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    // A reset is an end like any other.
    stream.on("error", () => undefined);
    for (const event of ["end", "close"]) {
      stream.on(event, () => {
        this.#isClosed = true;
        this.#wake();
      });
    }
  }

  static async overTcp(port: number): Promise<Peer> {
    const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    const peer = new Peer(socket);
    await once(socket, "connect");
    return peer;
  }

  static async overWebSocket(url: string): Promise<Peer> {
    const socket = new WebSocket(url, "mqtt");
    await once(socket, "open");
    return new Peer(createWebSocketStream(socket));
  }

  /** All in one write. */
  send(...packets: Uint8Array[]): void {
    this.#stream.write(Buffer.concat(packets));
  }

  /** What was sent has left this process, or the connection has ended. */
  async sent(): Promise<void> {
    if (this.#isClosed || this.#stream.writableLength === 0) return;
    await new Promise<void>((resolve) => {
      this.#stream.write("", () => resolve());
    });
  }

  /** The next packet, or undefined when the connection has ended. */
  async #read(): Promise<Received | undefined> {
    const timer = setTimeout(() => this.#wake(), PATIENCE_MS);
    const endMs = performance.now() + PATIENCE_MS;
    try {
      for (;;) {
        const taken = takePacket(this.#bytes);
        if (taken) {
          this.#bytes = taken.rest;
          return (this.last = taken.received);
        }
        if (this.#isClosed) return undefined;
        if (performance.now() >= endMs) throw new Error("the broker says nothing, and does not end the connection");
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** What comes next, in the words of `describe`; "closed" at the end. */
  async next(): Promise<string> {
    const received = await this.#read();
    return received ? describe(received) : "closed";
  }

  /** These come next, in this order. */
  async expect(...packets: string[]): Promise<void> {
    for (const wanted of packets) assert.equal(await this.next(), wanted);
  }

  /** Packet id of the packet read last. */
  get id(): number {
    return idOf(this.last!);
  }

  /** These packets come next, in any order. */
  async expectAll(...packets: string[]): Promise<void> {
    const seen: string[] = [];
    while (seen.length < packets.length) seen.push(await this.next());
    assert.deepEqual(seen.sort(), [...packets].sort());
  }

  /** Nothing waits to be read: the next packet is the answer to a ping. */
  async expectNothing(): Promise<void> {
    this.send(PINGREQ);
    await this.expect("PINGRESP");
  }

  /** The broker ends the connection at these bytes: a ping right behind them is not answered. */
  async expectRefusal(...packets: Uint8Array[]): Promise<string[]> {
    this.send(...packets, PINGREQ);
    const answers: string[] = [];
    for (;;) {
      const answer = await this.next();
      if (answer === "closed") return answers;
      assert.notEqual(answer, "PINGRESP", "the connection goes on");
      answers.push(answer);
    }
  }

  /** Ends the connection without a DISCONNECT, and waits until it is gone at this end. */
  async drop(): Promise<void> {
    if (this.#stream.destroyed) return;
    this.#stream.destroy();
    await once(this.#stream, "close");
  }
}
