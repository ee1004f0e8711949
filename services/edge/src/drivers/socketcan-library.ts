import { createRequire } from "node:module";
import { CanfleetError, messageOf } from "@canfleet/sdk";

/** A frame as npm's socketcan has it. */
export interface LibraryFrame {
  /** Arbitration id; the class of an error frame. */
  id: number;
  ext?: boolean;
  rtr?: boolean;
  err?: boolean;
  /** Payload; for a remote frame as many bytes as it asks for. */
  data: Buffer;
  /** Kernel time of the reception; absent where the kernel has none. */
  ts_sec?: number;
  ts_usec?: number;
  /** CAN FD bit rate switch, when sending. */
  fd_brs?: boolean;
}

/** One socket of npm's socketcan. Its own types say nothing of what `send` returns and cannot be had without it. */
export interface LibraryChannel {
  addListener(event: "onMessage", listener: (frame: LibraryFrame) => void): void;
  addListener(event: "onStopped", listener: () => void): void;
  start(): void;
  /** Blocks up to 100 ms; throws where the channel has stopped by itself. */
  stop(): void;
  /** Bytes written, or -1. */
  send(frame: LibraryFrame): number;
  sendFD(frame: LibraryFrame): number;
  /** An empty list changes nothing. */
  setRxFilters(filters: { id: number; mask: number; invert: boolean }[]): void;
  setErrorFilters(mask: number): void;
}

/** What is used of npm's socketcan. */
export interface SocketcanLibrary {
  createRawChannelWithOptions(
    channel: string,
    options: { timestamps: boolean; non_block_send: boolean },
  ): LibraryChannel;
}

const CURE = "npm install --no-save socketcan@4.3.1 (needs a C++ compiler)";

/**
 * Loads npm's socketcan, an optional dependency.
 *
 * @throws CanfleetError `CAN_NO_DRIVER` where it is not installed or does not load
 */
export function loadSocketcanLibrary(): SocketcanLibrary {
  try {
    return createRequire(import.meta.url)("socketcan") as SocketcanLibrary;
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "MODULE_NOT_FOUND";
    // npm leaves an optional dependency out without a word where its "engines" exclude the running Node, as 4.3.1's
    // do for Node 20; it works there all the same.
    const reason = missing ? "is not installed, which npm leaves out on some versions of Node" : messageOf(cause);
    throw new CanfleetError("CAN_NO_DRIVER", `npm's socketcan ${reason}: ${CURE}`, { cause });
  }
}
