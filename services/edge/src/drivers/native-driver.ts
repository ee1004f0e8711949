import { CanfleetError, FrameBatch, messageOf, type CanFilter } from "@canfleet/sdk";
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
import { loadNativeAddon, type InterfaceState, type NativeAddon, type NativeHandle } from "./native-addon.ts";

/** Rows of the batch: what the addon reads with one system call. */
const BATCH_FRAMES = 256;
/** A CAN FD frame of linux/can.h; an interface with this mtu carries them. */
const CANFD_MTU = 72;
const WATCH_INTERVAL_MS = 250;
/** What a frame takes in the receive queue by the kernel's count: measured on 64 bits, Linux 6.1. */
const QUEUED_FRAME_BYTES = 767;

const DEFAULT_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const MAX_RECEIVE_BUFFER_BYTES = 2 ** 30;
const DEFAULT_GATHER_MS = 1;
const MAX_GATHER_MS = 10;

export interface NativeDriverOptions {
  /**
   * How long frames are gathered before they are handed on, while that brings two or more (with 1 ms: above 2,000
   * frames/s); else each goes at once. ms, 0–10, 0 never gathers. Default 1.
   */
  gatherMs?: number;
  /**
   * Receive queue to ask the kernel for, bytes. It grants twice that for its bookkeeping and counts 767 a frame
   * (64-bit, Linux 6.1). Default 4 MiB: 10,900 frames with CAP_NET_ADMIN. Without, it is cut at net.core.rmem_max,
   * often to 555 frames, and a warning says so.
   */
  receiveBufferBytes?: number;
}

/**
 * SocketCAN through canfleet's own addon: the kernel's times, every kind of frame, own frames marked, losses counted.
 *
 * @param channel a CAN interface of this machine
 * @throws RangeError when an option is out of range
 */
export function createNativeDriver(channel: string, options: NativeDriverOptions = {}): CanInterface {
  return new NativeDriver(channel, options);
}

class NativeDriver implements CanInterface {
  readonly channel: string;
  readonly driver = "native";
  readonly #gatherMs: number;
  readonly #receiveBufferBytes: number;
  readonly #batch = new FrameBatch(BATCH_FRAMES);
  #addon: NativeAddon | undefined;
  #handle: NativeHandle | undefined;
  #interfaceIndex = 0;
  #isFd = true;
  #filterWords = new Uint32Array(0);
  #sink: CanSink | undefined;
  #link: LinkState = "up";
  #watch: NodeJS.Timeout | undefined;

  constructor(channel: string, { gatherMs, receiveBufferBytes }: NativeDriverOptions) {
    this.channel = channel;
    this.#gatherMs = inRange("gatherMs", gatherMs ?? DEFAULT_GATHER_MS, 0, MAX_GATHER_MS);
    const bytes = receiveBufferBytes ?? DEFAULT_RECEIVE_BUFFER_BYTES;
    this.#receiveBufferBytes = inRange("receiveBufferBytes", bytes, 1, MAX_RECEIVE_BUFFER_BYTES);
  }

  get capabilities(): CanCapabilities {
    return {
      fd: this.#isFd,
      ownFrames: "marked",
      timestamps: "kernel",
      losses: "counted",
      sendErrors: "errno",
      filters: "kernel",
      canSend: true,
      unknownFlags: 0,
    };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a driver may fail at once, but always by its promise
  async open(sink: CanSink): Promise<void> {
    if (this.#sink) throw new TypeError(`${this.channel} is open already`);
    this.#addon = loadNativeAddon();
    try {
      this.#start(this.#addon);
    } catch (error) {
      this.#drop();
      throw openError(this.channel, error);
    }
    this.#sink = sink;
    const warning = this.#shortQueue(this.#addon);
    if (warning) setImmediate(() => this.#sink?.warning(warning));
  }

  #shortQueue(addon: NativeAddon): string | undefined {
    if (!this.#handle) return undefined;
    const asked = this.#receiveBufferBytes;
    const { receiveBufferBytes: granted } = addon.describe(this.#handle);
    if (granted >= asked) return undefined;
    const frames = Math.floor(granted / QUEUED_FRAME_BYTES);
    const cure = `give the process CAP_NET_ADMIN, or set net.core.rmem_max to ${asked}`;
    return `${this.channel}: the kernel's receive queue holds only about ${frames} frames; ${cure}`;
  }

  #start(addon: NativeAddon): void {
    const batch = this.#batch;
    const handle = addon.open(
      this.channel,
      this.#receiveBufferBytes,
      this.#gatherMs,
      [
        batch.timestampUs,
        batch.timestampNs,
        batch.idWord,
        batch.length,
        batch.dlc,
        batch.flags,
        batch.dataOffset,
        batch.data,
      ],
      (count, lost) => this.#onFrames(count, lost),
      (errno) => this.#onTrouble(errno),
    );
    this.#handle = handle;
    const { index, mtu } = addon.describe(handle);
    this.#interfaceIndex = index;
    this.#isFd = mtu >= CANFD_MTU;
    if (this.#filterWords.length > 0) addon.setFilters(handle, this.#filterWords);
  }

  #onFrames(count: number, lost: number): void {
    // After "down" the same socket reads on, and may be faster than the watch.
    this.#setLink("up", `${this.channel} is up`);
    if (lost > 0) this.#sink?.lost(lost);
    if (count === 0) return;
    this.#batch.clear();
    this.#batch.count = count;
    this.#sink?.frames(this.#batch);
  }

  #onTrouble(errno: string): void {
    if (errno === "ENETDOWN") {
      this.#setLink("down", `${this.channel} is down`);
    } else {
      // A socket whose interface was deleted stays dead, even when one of that name is made anew.
      this.#drop();
      this.#setLink("gone", errno === "ENODEV" ? `${this.channel} was deleted` : `${this.channel}: ${errno}`);
    }
    this.#lookLater();
  }

  /** Nobody says that an interface is back; only while one is missed is it looked for. */
  #lookLater(): void {
    if (!this.#sink) return;
    this.#watch ??= setTimeout(() => {
      this.#watch = undefined;
      if (!this.#look()) this.#lookLater();
    }, WATCH_INTERVAL_MS);
  }

  /** Whether the interface is up again, with a socket that reads it. */
  #look(): boolean {
    const addon = this.#addon;
    if (!addon) return true;
    const state = probe(addon, this.channel);
    if (state?.index !== this.#interfaceIndex) this.#drop();
    if (!state) {
      this.#setLink("gone", `${this.channel} does not exist`);
      return false;
    }
    if (!this.#handle && !this.#reopen(addon)) return false;
    this.#setLink(state.up ? "up" : "down", `${this.channel} is ${state.up ? "up" : "down"}`);
    return state.up;
  }

  #reopen(addon: NativeAddon): boolean {
    try {
      this.#start(addon);
    } catch (error) {
      this.#setLink("gone", `${this.channel} cannot be opened again: ${messageOf(error)}`);
      return false;
    }
    // It was there for a while before it was found: what it carried then nobody knows.
    this.#sink?.lost(null);
    return true;
  }

  #drop(): void {
    if (this.#handle) this.#addon?.close(this.#handle);
    this.#handle = undefined;
  }

  #setLink(state: LinkState, reason: string): void {
    if (this.#link === state) return;
    this.#link = state;
    this.#sink?.link(state, reason);
  }

  send(batch: FrameBatch, from = 0): SendOutcome {
    const count = batch.count - from;
    if (count <= 0) return { accepted: 0 };
    if (!this.#addon || !this.#handle) return { accepted: 0, refusal: { kind: "down", errno: "ENODEV" } };
    const { idWord, length, dlc, flags, dataOffset, data } = batch;
    const accepted = this.#addon.send(this.#handle, idWord, length, dlc, flags, dataOffset, data, from, count);
    if (accepted === count) return { accepted };
    return { accepted, refusal: refusalOf(this.#addon.refusal(this.#handle)) };
  }

  setFilters(filters: readonly CanFilter[]): void {
    this.#filterWords = Uint32Array.from(filters.flatMap(({ id, mask, inverted }) => [id, mask, inverted ? 1 : 0]));
    if (this.#handle) this.#addon?.setFilters(this.#handle, this.#filterWords);
  }

  startPeriodic(slot: number, frame: FrameBatch, periodUs: number): SendRefusal | undefined {
    if (!this.#addon || !this.#handle) return { kind: "down", errno: "ENODEV" };
    const { idWord, length, dlc, flags, dataOffset, data } = frame;
    const args = [idWord, length, dlc, flags, dataOffset, data] as const;
    const errno = this.#addon.startPeriodic(this.#handle, slot, ...args, 0, periodUs);
    return errno === "" ? undefined : refusalOf(errno);
  }

  stopPeriodic(slot: number): void {
    if (this.#handle) this.#addon?.stopPeriodic(this.#handle, slot);
  }

  controller(): Promise<ControllerInfo | undefined> {
    return readController(this.channel);
  }

  close(): Promise<void> {
    clearTimeout(this.#watch);
    this.#watch = undefined;
    this.#drop();
    this.#addon = undefined;
    this.#sink = undefined;
    return Promise.resolve();
  }
}

function inRange(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} must be a whole number from ${least} to ${most}, got ${value}`);
}

function probe(addon: NativeAddon, channel: string): InterfaceState | undefined {
  try {
    return addon.probe(channel);
  } catch {
    return undefined; // ENODEV: the one answer that a name can have besides a state
  }
}

function refusalOf(errno: string): SendRefusal {
  switch (errno) {
    case "ENOBUFS":
    case "EAGAIN":
      return { kind: "no-buffer", errno };
    case "ENETDOWN":
    case "ENXIO":
    case "ENODEV":
      return { kind: "down", errno };
    case "ENOTSUP":
    case "EOPNOTSUPP":
      return { kind: "unsupported", errno };
    default:
      return { kind: "failed", errno };
  }
}

function openError(channel: string, cause: unknown): CanfleetError {
  const errno = cause instanceof Error && "code" in cause ? cause.code : undefined;
  switch (errno) {
    case "ENODEV":
      return new CanfleetError("CAN_NO_SUCH_INTERFACE", `there is no interface "${channel}" on this machine`, {
        cause,
        retryable: true,
      });
    case "EADDRNOTAVAIL":
      return new CanfleetError("CAN_OPEN_FAILED", `${channel} is not a CAN interface`, { cause });
    case "EAFNOSUPPORT":
    case "EPROTONOSUPPORT":
      return new CanfleetError("CAN_NO_DRIVER", "this kernel has no SocketCAN (no can-raw module)", { cause });
    default:
      return new CanfleetError("CAN_OPEN_FAILED", `${channel} cannot be opened: ${messageOf(cause)}`, { cause });
  }
}
