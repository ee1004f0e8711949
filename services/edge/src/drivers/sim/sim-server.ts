import { createServer, type Server, type Socket } from "node:net";
import { FLAG_ECHO, FLAG_OWN, FrameBatch } from "@canfleet/sdk";
import type { Clock } from "../clock.ts";
import type { MeetingPlace } from "./meeting-place.ts";
import {
  decodeFrames,
  encodeFrames,
  encodeHello,
  encodeLost,
  KIND_FRAMES,
  MAX_FRAMES,
  MessageReader,
} from "./protocol.ts";
import type { Story } from "./protocol.ts";
import type { Traffic } from "./traffic.ts";

/** How often the traffic is looked after: the longest that a frame is late, and the frames of that time are a batch. */
const TICK_MS = 5;

/** How often the server looks whether its name was taken away, for instance by a cleaner of temporary files. */
const NAME_CHECK_MS = 1000;

/** Bytes that wait for one participant; what goes beyond is lost for it and counted. */
const MAX_BACKLOG_BYTES = 1 << 20;

interface Participant {
  socket: Socket;
  reader: MessageReader;
  /** Frames that it did not get and was not told of yet. */
  lost: number;
}

export interface ServerOptions {
  place: MeetingPlace;
  story: Story;
  /** Undefined for a bus on which only participants send. */
  traffic: Traffic | undefined;
  clock: Clock;
}

/**
 * The bus itself: puts all frames into one order, stamps them, and gives them to every participant.
 *
 *     traffic ──┐                        ┌─ participant: frames of others as they are
 *               ├─ one order, one time ──┤
 *     sends ────┘                        └─ the sender: its own, marked as echoes
 */
export class SimServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #participants = new Set<Participant>();
  readonly #traffic = new FrameBatch(MAX_FRAMES);
  readonly #sent = new FrameBatch(MAX_FRAMES);
  #identity = "";
  #lastUs = 0;
  #tick: NodeJS.Timeout | undefined;
  #nameCheck: NodeJS.Timeout | undefined;

  private constructor(options: ServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => {
      this.#join(socket);
    });
  }

  /**
   * Starts to serve under the place's name.
   *
   * @param dead a holder of the name that was seen not to listen
   * @returns undefined when another process was faster
   * @throws CanfleetError `CAN_OPEN_FAILED`
   */
  static async start(options: ServerOptions, dead: string | undefined): Promise<SimServer | undefined> {
    const server = new SimServer(options);
    try {
      const identity = await options.place.claim(server.#server, dead);
      if (identity !== undefined) {
        server.#begin(identity);
        return server;
      }
    } catch (error) {
      server.#server.close();
      throw error;
    }
    await server.close();
    return undefined;
  }

  #begin(identity: string): void {
    this.#identity = identity;
    // An accept that fails (no file descriptors left) costs that participant only; it tries again.
    this.#server.on("error", () => undefined);
    if (this.#options.traffic) {
      this.#tick = setInterval(() => {
        this.#runTraffic();
      }, TICK_MS);
    }
    this.#nameCheck = setInterval(() => {
      void this.#checkName();
    }, NAME_CHECK_MS);
  }

  /** Ends the bus here; the participants that are left make a new server among themselves. */
  async close(): Promise<void> {
    clearInterval(this.#tick);
    clearInterval(this.#nameCheck);
    // The name goes first: who is thrown out shall not find the way back here.
    await this.#options.place.release(this.#identity);
    for (const { socket } of this.#participants) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  /** Without the name, later participants would meet elsewhere: two buses where there should be one. */
  async #checkName(): Promise<void> {
    try {
      if ((await this.#options.place.holder()) !== this.#identity) await this.close();
    } catch {
      // A folder that cannot be looked at now is looked at again in a second.
    }
  }

  #join(socket: Socket): void {
    const participant: Participant = { socket, reader: new MessageReader(), lost: 0 };
    socket.on("data", (chunk) => {
      if (!this.#read(participant, chunk)) socket.destroy();
    });
    socket.on("drain", () => {
      this.#tellLoss(participant);
    });
    // "close" follows and says all that matters.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#participants.delete(participant);
    });
    this.#participants.add(participant);
    socket.write(encodeHello(this.#options.story));
  }

  /** False where the bytes are not what a participant may say. */
  #read(sender: Participant, chunk: Buffer): boolean {
    sender.reader.push(chunk);
    const flush = (): void => {
      this.#putSent(sender);
    };
    for (;;) {
      const body = sender.reader.next();
      if (body === false || (body && body[0] !== KIND_FRAMES)) return false;
      if (!body) break;
      if (!decodeFrames(body, this.#sent, flush)) {
        this.#sent.clear();
        return false;
      }
    }
    flush();
    return true;
  }

  #putSent(sender: Participant): void {
    const sent = this.#sent;
    if (sent.count === 0) return;
    // What was due before goes before.
    this.#runTraffic();
    sent.timestampUs.fill(this.#stamp(), 0, sent.count);
    this.#broadcast(sent, sender);
    sent.clear();
  }

  /** Time does not go back within a bus, unless the machine's clock was set back by much. */
  #stamp(): number {
    const nowUs = this.#options.clock.wallUs();
    if (nowUs > this.#lastUs || nowUs < this.#lastUs - 1e6) this.#lastUs = nowUs;
    return this.#lastUs;
  }

  #runTraffic(): void {
    const { traffic } = this.#options;
    if (!traffic) return;
    const nowUs = this.#stamp();
    let more = true;
    while (more) {
      more = traffic.run(nowUs, this.#traffic);
      if (this.#traffic.count > 0) this.#broadcast(this.#traffic, undefined);
      this.#traffic.clear();
    }
  }

  #broadcast(batch: FrameBatch, sender: Participant | undefined): void {
    const forOthers = encodeFrames(batch, 0, batch.count, 0);
    for (const participant of this.#participants) {
      const bytes = participant === sender ? encodeFrames(batch, 0, batch.count, FLAG_OWN | FLAG_ECHO) : forOthers;
      this.#give(participant, bytes, batch.count);
    }
  }

  #give(participant: Participant, bytes: Buffer, frames: number): void {
    if (participant.socket.writableLength > MAX_BACKLOG_BYTES) {
      participant.lost += frames;
      return;
    }
    this.#tellLoss(participant);
    participant.socket.write(bytes);
  }

  #tellLoss(participant: Participant): void {
    if (participant.lost === 0) return;
    participant.socket.write(encodeLost(participant.lost));
    participant.lost = 0;
  }
}
