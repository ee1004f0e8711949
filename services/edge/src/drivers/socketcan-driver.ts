import {
  arbitrationIdOf,
  CanfleetError,
  dlcOfLength,
  EFF_FLAG,
  ERR_FLAG,
  FLAG_BRS,
  FLAG_ECHO,
  FLAG_ESI,
  FLAG_FD,
  FLAG_OWN,
  FrameBatch,
  isErrorWord,
  isExtendedWord,
  isFdLength,
  isRemoteWord,
  isValidIdWord,
  MAX_CLASSIC_LENGTH,
  messageOf,
  passesFilters,
  RTR_FLAG,
  type CanFilter,
} from "@canfleet/sdk";
import type {
  CanCapabilities,
  CanInterface,
  CanSink,
  ControllerInfo,
  LinkState,
  SendOutcome,
  SendRefusal,
} from "../can-interface.ts";
import { readController } from "./controller-info.ts";
import { readInterface } from "./interface-files.ts";
import { loadSocketcanLibrary, type LibraryChannel, type LibraryFrame } from "./socketcan-library.ts";

const BATCH_FRAMES = 256;
const CANFD_MTU = 72;
/** The library says nothing of a link that goes down or comes up: its files are looked at. */
const WATCH_INTERVAL_MS = 500;
/** Passes nothing: an id of 12 bits in base format. */
const NOTHING = { id: 0x800, mask: (EFF_FLAG | 0x1fffffff) >>> 0, invert: false };
const EVERYTHING = { id: 0, mask: 0, invert: false };

/**
 * SocketCAN through npm's socketcan 4.3.1, for machines where the addon of our own cannot be had.
 *
 * It hands over an object a frame and cannot tell own frames, losses, reasons of refused sends, nor FD frames of up
 * to 8 bytes from classic ones: its batches say so. Raw codes 9–15 and ESI cannot be sent.
 *
 * @param channel a CAN interface of this machine
 */
export function createSocketcanDriver(channel: string): CanInterface {
  return new SocketcanDriver(channel);
}

class SocketcanDriver implements CanInterface {
  readonly channel: string;
  readonly driver = "socketcan";
  readonly #batch = new FrameBatch(BATCH_FRAMES);
  #socket: LibraryChannel | undefined;
  #sink: CanSink | undefined;
  #filters: readonly CanFilter[] = [];
  #isFd = true;
  #interfaceIndex = 0;
  #link: LinkState = "up";
  #watch: NodeJS.Timeout | undefined;
  #flush: NodeJS.Immediate | undefined;

  constructor(channel: string) {
    this.channel = channel;
  }

  get capabilities(): CanCapabilities {
    return {
      fd: this.#isFd,
      ownFrames: "unseen",
      timestamps: "kernel",
      losses: "unknown",
      sendErrors: "unknown",
      filters: "kernel",
      canSend: true,
      unknownFlags: this.#unknownFlags,
    };
  }

  /** A classic interface has no FD frames to take for others. */
  get #unknownFlags(): number {
    return FLAG_OWN | FLAG_ECHO | (this.#isFd ? FLAG_FD | FLAG_BRS | FLAG_ESI : 0);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a driver may fail at once, but always by its promise
  async open(sink: CanSink): Promise<void> {
    if (this.#sink) throw new TypeError(`${this.channel} is open already`);
    this.#start();
    this.#sink = sink;
    setImmediate(() => this.#sink?.lost(null));
    this.#watch = setInterval(() => this.#look(), WATCH_INTERVAL_MS);
  }

  #start(): void {
    const library = loadSocketcanLibrary();
    const files = readInterface(this.channel);
    if (!files) {
      throw new CanfleetError("CAN_NO_SUCH_INTERFACE", `there is no interface "${this.channel}" on this machine`, {
        retryable: true,
      });
    }
    if (!files.isCan) throw new CanfleetError("CAN_OPEN_FAILED", `${this.channel} is not a CAN interface`);
    try {
      const socket = library.createRawChannelWithOptions(this.channel, { timestamps: true, non_block_send: true });
      socket.addListener("onMessage", (frame) => this.#onFrame(socket, frame));
      socket.addListener("onStopped", () => this.#onStopped(socket));
      socket.start();
      this.#socket = socket;
    } catch (cause) {
      throw new CanfleetError("CAN_OPEN_FAILED", `${this.channel} cannot be opened: ${messageOf(cause)}`, { cause });
    }
    this.#isFd = files.mtu >= CANFD_MTU;
    this.#interfaceIndex = files.index;
    this.#applyFilters();
  }

  #onFrame(socket: LibraryChannel, frame: LibraryFrame): void {
    if (socket !== this.#socket) return;
    const idWord = idWordOf(frame);
    // Frames that passed the filters before these may still have been queued.
    if (!passesFilters(this.#filters, idWord)) return;
    const batch = this.#batch;
    const i = batch.count;
    const length = frame.data.length;
    const stored = isRemoteWord(idWord) ? 0 : length;
    const at = batch.dataOffset[i]!;
    batch.timestampUs[i] = timestampUsOf(frame);
    batch.timestampNs[i] = 0;
    batch.idWord[i] = idWord;
    batch.length[i] = length;
    batch.dlc[i] = dlcOfLength(length);
    batch.flags[i] = length > MAX_CLASSIC_LENGTH ? FLAG_FD : 0;
    if (stored > 0) batch.data.set(frame.data, at);
    batch.dataOffset[i + 1] = at + stored;
    batch.count = i + 1;
    if (batch.count === BATCH_FRAMES) this.#handOn();
    else this.#flush ??= setImmediate(() => this.#handOn());
  }

  #handOn(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const batch = this.#batch;
    if (batch.count === 0) return;
    batch.unknownFlags = this.#unknownFlags;
    this.#sink?.frames(batch);
    batch.clear();
    batch.dataOffset[0] = 0;
  }

  /** The library ends a channel whose interface was deleted, and only that. */
  #onStopped(socket: LibraryChannel): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#handOn();
    this.#setLink("gone", `${this.channel} was deleted`);
  }

  #look(): void {
    const files = readInterface(this.channel);
    if (!files) {
      this.#setLink("gone", `${this.channel} does not exist`);
      return;
    }
    if (files.index !== this.#interfaceIndex || !this.#socket) {
      this.#setLink("gone", `${this.channel} was deleted`);
      if (!this.#reopen()) return;
    }
    this.#setLink(files.up ? "up" : "down", `${this.channel} is ${files.up ? "up" : "down"}`);
  }

  #reopen(): boolean {
    this.#stop();
    try {
      this.#start();
    } catch {
      return false; // looked at again soon; the link stays "gone"
    }
    this.#sink?.lost(null);
    return true;
  }

  #setLink(state: LinkState, reason: string): void {
    if (this.#link === state) return;
    this.#link = state;
    this.#sink?.link(state, reason);
  }

  send(batch: FrameBatch, from = 0): SendOutcome {
    for (let i = from; i < batch.count; i++) {
      const refusal = this.#sendOne(batch, i);
      if (refusal) return { accepted: i - from, refusal };
    }
    return { accepted: Math.max(0, batch.count - from) };
  }

  #sendOne(batch: FrameBatch, i: number): SendRefusal | undefined {
    if (!this.#socket) return { kind: "down", errno: "unknown" };
    const refusal = checkFrame(batch, i, this.#isFd);
    if (refusal) return refusal;
    const frame = frameOf(batch, i);
    const isFd = (batch.flags[i]! & FLAG_FD) !== 0;
    const written = isFd ? this.#socket.sendFD(frame) : this.#socket.send(frame);
    if (written >= 0) return undefined;
    return { kind: readInterface(this.channel)?.up ? "no-buffer" : "down", errno: "unknown" };
  }

  setFilters(filters: readonly CanFilter[]): void {
    this.#filters = [...filters];
    this.#applyFilters();
  }

  #applyFilters(): void {
    const kernel = this.#filters.map(({ id, mask, inverted }) => ({
      id: (id & ~ERR_FLAG) >>> 0,
      mask,
      invert: inverted ?? false,
    }));
    this.#socket?.setRxFilters(kernel.length > 0 ? kernel : [EVERYTHING]);
  }

  controller(): Promise<ControllerInfo | undefined> {
    return readController(this.channel);
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    clearImmediate(this.#flush);
    this.#flush = undefined;
    this.#batch.clear();
    this.#sink = undefined;
    // Stopped outside of its own callback, from which this may be called.
    await new Promise((resolve) => setImmediate(resolve));
    this.#stop();
  }

  #stop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    // The library keeps the socket open, and full, until it is garbage: nothing may come in any more.
    socket.setRxFilters([NOTHING]);
    socket.setErrorFilters(0);
    socket.stop();
  }
}

function idWordOf({ id, ext, rtr, err }: LibraryFrame): number {
  return (id | (ext ? EFF_FLAG : 0) | (rtr ? RTR_FLAG : 0) | (err ? ERR_FLAG : 0)) >>> 0;
}

/** The library's seconds are a signed 32-bit number, which ends in 2038; as an unsigned one they last until 2106. */
function timestampUsOf({ ts_sec: seconds, ts_usec: micros }: LibraryFrame): number {
  return seconds === undefined ? Date.now() * 1000 : (seconds >>> 0) * 1e6 + (micros ?? 0);
}

/** What the library would send as something else, or the kernel refuse without a reason. */
function checkFrame(batch: FrameBatch, i: number, isFdInterface: boolean): SendRefusal | undefined {
  const idWord = batch.idWord[i]!;
  const length = batch.length[i]!;
  const flags = batch.flags[i]!;
  if (isErrorWord(idWord)) return { kind: "unsupported", errno: "EOPNOTSUPP" };
  if (!isValidIdWord(idWord)) return { kind: "failed", errno: "EINVAL" };
  if (flags & FLAG_FD) {
    if (isRemoteWord(idWord) || !isFdLength(length)) return { kind: "failed", errno: "EINVAL" };
    return isFdInterface && !(flags & FLAG_ESI) ? undefined : { kind: "unsupported", errno: "EOPNOTSUPP" };
  }
  if (length > MAX_CLASSIC_LENGTH) return { kind: "failed", errno: "EINVAL" };
  return batch.dlc[i]! > MAX_CLASSIC_LENGTH ? { kind: "unsupported", errno: "EOPNOTSUPP" } : undefined;
}

function frameOf(batch: FrameBatch, i: number): LibraryFrame {
  const idWord = batch.idWord[i]!;
  const isRemote = isRemoteWord(idWord);
  return {
    id: arbitrationIdOf(idWord),
    ext: isExtendedWord(idWord),
    rtr: isRemote,
    data: isRemote ? Buffer.alloc(batch.length[i]!) : Buffer.from(batch.payload(i)),
    fd_brs: (batch.flags[i]! & FLAG_BRS) !== 0,
  };
}
