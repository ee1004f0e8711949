import { CanfleetError, filterBatch, messageOf, type CanFilter, type FrameBatch } from "@canfleet/sdk";
import type { CanCapabilities, CanInterface, CanSink, ControllerInfo, SendOutcome } from "../../can-interface.ts";
import { systemClock, type Clock } from "../clock.ts";
import { firstUnsendable, outcomeOf } from "../sendable.ts";
import { keepServer, release, retain } from "./local-servers.ts";
import { defaultFolder, MeetingPlace } from "./meeting-place.ts";
import { SimLink } from "./sim-link.ts";
import { SimServer } from "./sim-server.ts";
import type { Story } from "./protocol.ts";
import { bitrateOf, trafficOf } from "./worlds.ts";

const NAME = /^[A-Za-z0-9._-]{1,15}$/;

/** How long `open` tries; several processes that start at once may need a few rounds to find one server. */
const OPEN_TIMEOUT_MS = 5000;
/** Between two tries, at random, so that they do not meet in step. */
const RETRY_MS = 40;
/** After trouble that is not a race. */
const TROUBLE_RETRY_MS = 1000;

export interface SimOptions {
  /** What the interface is called. Default: `sim-NAME`, or NAME where that is longer than 15 characters. */
  channel?: string;
  /** Start of the story, µs since 1970; counts for the one who serves first. Default: now. */
  startUs?: number;
  /** 0 to 2³²-1; counts for the one who serves first. Default 1. */
  seed?: number;
  /** Folder of the sockets by which buses are found. Default: one for this user in the folder for temporary files. */
  folder?: string;
  /** Default: the machine's. */
  clock?: Clock;
}

/**
 * A simulated bus, shared by name among all processes of this user on this machine. `car` and `boat` have traffic
 * of their own; on any other bus only participants send. CAN FD is allowed on all.
 *
 * The process that comes first serves the bus. When it goes away another takes over: the others see `link` "down"
 * and "up", and the story goes on.
 *
 * @param name 1–15 letters, digits, `.`, `_` or `-`
 * @throws RangeError when the name or the seed is not allowed
 */
export function createSimDriver(name: string, options: SimOptions = {}): CanInterface {
  if (!NAME.test(name)) {
    throw new RangeError(`simulated bus "${name}": expected 1 to 15 letters, digits, ".", "_" or "-"`);
  }
  const { seed = 1 } = options;
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    throw new RangeError(`seed must be 0 to 4294967295, got ${seed}`);
  }
  return new SimDriver(name, options);
}

class SimDriver implements CanInterface {
  readonly channel: string;
  readonly driver = "sim";
  readonly capabilities: CanCapabilities = {
    fd: true,
    ownFrames: "marked",
    timestamps: "driver",
    losses: "counted",
    sendErrors: "errno",
    filters: "driver",
    canSend: true,
    unknownFlags: 0,
  };
  readonly #name: string;
  readonly #options: SimOptions;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #place: MeetingPlace | undefined;
  #story: Story | undefined;
  #filters: readonly CanFilter[] = [];
  #link: SimLink | undefined;
  #rejoining: Promise<void> = Promise.resolve();
  #sink: CanSink | undefined;
  #closed: Promise<void> | undefined;

  constructor(name: string, options: SimOptions) {
    this.#name = name;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const channel = `sim-${name}`;
    this.channel = options.channel ?? (NAME.test(channel) ? channel : name);
  }

  async open(sink: CanSink): Promise<void> {
    this.#sink = sink;
    this.#place = new MeetingPlace(this.#options.folder ?? defaultFolder(), this.#name);
    retain(this.#place.path);
    const untilUs = this.#clock.monotonicUs() + OPEN_TIMEOUT_MS * 1000;
    while (!(await this.#tryToOpen(this.#place))) {
      if (this.#closing.signal.aborted || this.#clock.monotonicUs() > untilUs) {
        await this.close();
        throw new CanfleetError("CAN_OPEN_FAILED", `nobody serves the simulated bus ${this.#name}`, {
          retryable: true,
        });
      }
      await this.#clock.wait(Math.random() * RETRY_MS, this.#closing.signal);
    }
  }

  async #tryToOpen(place: MeetingPlace): Promise<boolean> {
    try {
      return await this.#join(place);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** One try to connect to the bus, after serving it where nobody does. */
  async #join(place: MeetingPlace): Promise<boolean> {
    await place.prepare();
    const holder = await place.holder();
    let socket = holder === undefined ? undefined : await place.connect();
    if (!socket && (await this.#serve(place, holder))) socket = await place.connect();
    if (!socket) return false;
    const link = new SimLink(socket, {
      frames: (batch) => {
        this.#receive(batch);
      },
      lost: (frames) => {
        if (!this.#closing.signal.aborted) this.#sink?.lost(frames);
      },
    });
    const story = await link.greeting;
    if (!story) return false;
    if (this.#closing.signal.aborted) {
      link.close();
      return false;
    }
    this.#story = story;
    this.#link = link;
    void link.closed.then(() => {
      this.#leave(link);
    });
    return true;
  }

  async #serve(place: MeetingPlace, dead: string | undefined): Promise<boolean> {
    if (this.#closing.signal.aborted) return false;
    const { startUs = this.#clock.wallUs(), seed = 1 } = this.#options;
    const story = this.#story ?? { startUs, seed };
    const traffic = trafficOf(this.#name, story.startUs, story.seed);
    const server = await SimServer.start({ place, story, traffic, clock: this.#clock }, dead);
    if (!server) return false;
    await keepServer(place.path, server);
    return true;
  }

  #receive(batch: FrameBatch): void {
    if (this.#closing.signal.aborted) return;
    const passed = filterBatch(batch, this.#filters);
    if (passed.count > 0) this.#sink?.frames(passed);
  }

  #leave(link: SimLink): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    if (this.#closing.signal.aborted) return;
    this.#sink?.link("down", "the process that served the simulated bus is gone");
    this.#rejoining = this.#rejoin();
  }

  async #rejoin(): Promise<void> {
    let warned = false;
    while (!this.#closing.signal.aborted) {
      let waitMs = Math.random() * RETRY_MS;
      try {
        if (this.#place && (await this.#join(this.#place))) {
          // What others sent while nobody served, nobody counted.
          this.#sink?.lost(null);
          this.#sink?.link("up", "the simulated bus goes on");
          return;
        }
      } catch (error) {
        if (!warned) this.#sink?.warning(messageOf(error));
        warned = true;
        waitMs = TROUBLE_RETRY_MS;
      }
      await this.#clock.wait(waitMs, this.#closing.signal);
    }
  }

  send(batch: FrameBatch, from = 0): SendOutcome {
    if (!this.#link) return { accepted: 0, refusal: { kind: "down", errno: "ENETDOWN" } };
    const sendable = firstUnsendable(batch, from);
    return outcomeOf(batch, from, sendable, this.#link.send(batch, from, sendable));
  }

  setFilters(filters: readonly CanFilter[]): void {
    this.#filters = filters.slice();
  }

  /** A simulated controller makes no errors. Where only participants send, the bus has no bit rate. */
  controller(): Promise<ControllerInfo | undefined> {
    const bitrate = bitrateOf(this.#name);
    if (bitrate === undefined) return Promise.resolve(undefined);
    return Promise.resolve({
      bitrate,
      dataBitrate: null,
      busState: "error-active",
      txErrors: 0,
      rxErrors: 0,
      restartMs: null,
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#link?.close();
    this.#link = undefined;
    await this.#rejoining;
    if (this.#place) await release(this.#place.path);
  }
}
