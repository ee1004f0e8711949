import type { CanBusState, CanFilter, FrameBatch } from "@canfleet/sdk";

/**
 * What the relay needs of a CAN bus. One suite (`can-interface.suite.ts`) runs over every driver behind it.
 *
 * Life: `open` once, then events through the sink, `close` once. A bus that goes away does not end the interface:
 * it reports `link` "down" or "gone", looks for the bus by name and reports "up" when it is back.
 */
export interface CanInterface {
  /** Interface name, or what the source is called: `can0`, `sim-car`. */
  readonly channel: string;
  readonly driver: DriverName;
  readonly capabilities: CanCapabilities;
  /**
   * Starts reading. Resolves when frames can arrive.
   *
   * @throws CanfleetError `CAN_NO_SUCH_INTERFACE`, `CAN_NO_DRIVER`, `CAN_OPEN_FAILED`
   */
  open(sink: CanSink): Promise<void>;
  /**
   * Writes frames `from`…`count` without ever waiting.
   *
   * Frames that were written by this call come back through the sink with `FLAG_OWN | FLAG_ECHO`, in the same order,
   * where `capabilities.ownFrames` is "marked".
   */
  send(batch: FrameBatch, from?: number): SendOutcome;
  /** Only frames that pass reach the sink from now on; echoes of `send` that do not pass are not seen either. */
  setFilters(filters: readonly CanFilter[]): void;
  /**
   * What the CAN controller is set to and how it is, asked now. Takes at most 2 s and never rejects.
   *
   * Undefined where there is none to ask (a virtual interface, a log) or nobody who can; absent where there never is.
   */
  controller?(): Promise<ControllerInfo | undefined>;
  /**
   * Has the kernel send a frame at once and then each `periodUs` (1,000 or more), in place of what ran in `slot`, 0–63.
   * A period of 0 changes the frame of a slot that runs: same id, same kind; the beat stays. Sent frames come back with
   * `FLAG_OWN`. What runs ends with `stopPeriodic`, when the interface is deleted, and when the process ends in any way.
   *
   * Absent where no kernel does it. @returns why not; undefined when it runs
   */
  startPeriodic?(slot: number, frame: FrameBatch, periodUs: number): SendRefusal | undefined;
  /** Ends what runs in a slot; present where `startPeriodic` is. */
  stopPeriodic?(slot: number): void;
  close(): Promise<void>;
}

/** A CAN controller as its driver describes it; null is not known. */
export interface ControllerInfo {
  /** Nominal bit rate, bit/s. */
  bitrate: number | null;
  /** Bit rate of CAN FD payloads with BRS, bit/s; null also where the controller is not set to CAN FD. */
  dataBitrate: number | null;
  /** null also while the controller is stopped. */
  busState: CanBusState | null;
  txErrors: number | null;
  rxErrors: number | null;
  /** Pause before the kernel restarts the controller after bus-off, ms; 0: it never does. */
  restartMs: number | null;
}

export type DriverName = "native" | "socketcan" | "sim" | "play";

/** What a driver knows. "unknown" is said as unknown: never as zero, never as false. */
export interface CanCapabilities {
  /** Whether CAN FD frames can be sent and received. */
  fd: boolean;
  /** Whether frames that this host sent are seen, and told from others. */
  ownFrames: "marked" | "unmarked" | "unseen";
  /** Who takes the time: the kernel at reception, the driver when it reads, or a file. */
  timestamps: "kernel" | "driver" | "recorded";
  /** Whether frames lost before the driver are counted. */
  losses: "counted" | "unknown" | "none";
  /** Whether a refused send says why. */
  sendErrors: "errno" | "unknown" | "none";
  /** Where filters work. */
  filters: "kernel" | "driver";
  canSend: boolean;
  /** `FLAG_*` bits that the driver cannot tell; its batches carry them as `unknownFlags`. */
  unknownFlags: number;
}

export type LinkState = "up" | "down" | "gone";

/** Where a driver puts what it has. Calls come from the event loop, never from within `open` or `send`. */
export interface CanSink {
  /** Frames in bus order. The batch is the driver's own and is used again after the call: copy or encode now. */
  frames(batch: FrameBatch): void;
  /** Frames lost before the driver since the last call; null when some may be lost and the number is not known. */
  lost(frames: number | null): void;
  /** The bus came up, went down, or does not exist (any more). `reason` is for people. */
  link(state: LinkState, reason: string): void;
  /** Something that does not end the interface, said once. */
  warning(text: string): void;
  /** A bus that has an end (a log that is played once) has ended. */
  end(): void;
}

/** How far a send came. */
export interface SendOutcome {
  /** Frames that were taken, counted from `from`. */
  accepted: number;
  /** Why the next one was not; undefined when all were taken. */
  refusal?: SendRefusal;
}

/**
 * "no-buffer": the transmit queue is full, try again later. "down": interface down, gone or bus-off.
 * "unsupported": this frame can never be sent here (CAN FD on a classic interface). "failed": anything else.
 */
export interface SendRefusal {
  kind: "no-buffer" | "down" | "unsupported" | "failed";
  /** `ENOBUFS`, `ENETDOWN`, …; "unknown" where the driver is not told. */
  errno: string;
}
