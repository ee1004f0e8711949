import type { Socket } from "node:net";
import { FrameBatch } from "@canfleet/sdk";
import {
  decodeFrames,
  decodeHello,
  decodeLost,
  encodeFrames,
  KIND_FRAMES,
  KIND_HELLO,
  KIND_LOST,
  MAX_FRAMES,
  MessageReader,
  type Story,
} from "./protocol.ts";

/** Bytes that wait to go to the server; beyond that the transmit queue is full. */
const MAX_SEND_BACKLOG_BYTES = 1 << 18;

/** A server that accepts but does not greet is stopped or stuck. */
const GREETING_TIMEOUT_MS = 2000;

export interface LinkEvents {
  /** The batch is used again after the call. */
  frames(batch: FrameBatch): void;
  lost(frames: number): void;
}

/** A participant's connection to the one who serves the bus. Events come after `greeting` has been taken note of. */
export class SimLink {
  /** Resolves with the server's story; undefined when the server is no use. */
  readonly greeting: Promise<Story | undefined>;
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #events: LinkEvents;
  readonly #reader = new MessageReader();
  readonly #received = new FrameBatch(MAX_FRAMES);
  #greet: (story: Story | undefined) => void = () => undefined;
  #greeted = false;
  /** False until the greeting's listener had its turn, so that no frame comes before the bus is open. */
  #flowing = true;

  constructor(socket: Socket, events: LinkEvents) {
    this.#socket = socket;
    this.#events = events;
    this.greeting = new Promise((resolve) => {
      this.#greet = resolve;
    });
    const timeout = setTimeout(() => socket.destroy(), GREETING_TIMEOUT_MS);
    void this.greeting.then(() => {
      clearTimeout(timeout);
    });
    socket.on("data", (chunk) => {
      this.#reader.push(chunk);
      this.#drain();
    });
    // "close" follows and says all that matters.
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#greet(undefined);
        resolve();
      });
    });
  }

  /** Hands over all that is complete; frames that came together go on together. */
  #drain(): void {
    while (this.#flowing) {
      const body = this.#reader.next();
      if (body === undefined) break;
      if (body === false || !this.#take(body)) {
        this.#socket.destroy();
        break;
      }
    }
    this.#flush();
  }

  #take(body: Buffer): boolean {
    if (!this.#greeted) return body[0] === KIND_HELLO && this.#takeHello(body);
    switch (body[0]) {
      case KIND_FRAMES:
        return decodeFrames(body, this.#received, () => {
          this.#flush();
        });
      case KIND_LOST:
        return this.#takeLost(body);
      default:
        return false;
    }
  }

  #takeHello(body: Buffer): boolean {
    const story = decodeHello(body);
    this.#greet(story);
    if (!story) return false;
    this.#greeted = true;
    this.#flowing = false;
    setImmediate(() => {
      this.#flowing = true;
      this.#drain();
    });
    return true;
  }

  #takeLost(body: Buffer): boolean {
    const frames = decodeLost(body);
    if (frames === undefined) return false;
    this.#flush();
    this.#events.lost(frames);
    return true;
  }

  #flush(): void {
    if (this.#received.count === 0) return;
    this.#events.frames(this.#received);
    // Whatever the listener did to the columns, the next frames start at the beginning.
    this.#received.clear();
    this.#received.dataOffset[0] = 0;
  }

  /** Sends rows `from` up to `end`, as far as the queue takes them; returns how many. */
  send(batch: FrameBatch, from: number, end: number): number {
    let at = from;
    while (at < end && this.#socket.writableLength < MAX_SEND_BACKLOG_BYTES) {
      const to = Math.min(end, at + MAX_FRAMES);
      this.#socket.write(encodeFrames(batch, at, to, 0));
      at = to;
    }
    return at - from;
  }

  close(): void {
    this.#socket.destroy();
  }
}
