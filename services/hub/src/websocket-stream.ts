import { Duplex } from "node:stream";

/** The parts of a WebSocket that carry MQTT (MQTT 3.1.1, 6). */
export interface ByteSocket {
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): unknown;
  once(event: "close", listener: () => void): unknown;
  once(event: "error", listener: (error: Error) => void): unknown;
  send(data: Uint8Array, done: (error?: Error | null) => void): void;
  pause(): void;
  resume(): void;
  close(): void;
  terminate(): void;
}

/**
 * A WebSocket as a stream of bytes. What was written in one turn of the event loop goes out as one frame, not as one
 * for each piece of each packet: packets may be cut and joined at will (MQTT-6.0.0-2).
 */
export class WebSocketStream extends Duplex {
  readonly #socket: ByteSocket;
  #isClosed = false;

  constructor(socket: ByteSocket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    socket.once("error", (error) => this.destroy(error));
    socket.once("close", () => {
      this.#isClosed = true;
      this.push(null);
      this.destroy();
    });
  }

  #receive(data: unknown, isBinary: boolean): void {
    if (this.destroyed) return;
    // [MQTT-6.0.0-1]: anything but binary frames ends the connection.
    if (!isBinary || !(data instanceof Uint8Array)) this.destroy(new Error("a WebSocket message that is not binary"));
    else if (!this.push(data)) this.#socket.pause();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.send(chunk, done);
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    this.#socket.send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.#socket.close();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isClosed) this.#socket.terminate();
    done(error);
  }
}
