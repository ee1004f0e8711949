import type { FrameBatch, SendCode, SendSource } from "@canfleet/sdk";

export type { SendSource } from "@canfleet/sdk";

/** Frames that somebody asks to be put on the bus, in order. */
export interface SendOrder {
  /** Owned by the order from now on; timestamps and own/echo flags are ignored. */
  frames: FrameBatch;
  source: SendSource;
  /** Who asks, for logs: `host 10.0.0.7:51234`, `MQTT client alice`. Default: by the source. */
  by?: string;
  /** ms from now within which each frame must be on the bus. */
  ttlMs: number;
  /**
   * Told once for each row, in any order.
   *
   * @param timestampUs kernel time of the echo of a sent frame; undefined where the driver gives none
   */
  settled?: (row: number, code: SendCode, timestampUs: number | undefined) => void;
}

/** The one way onto a bus: checks the allow-list, keeps the order, answers every frame. */
export interface Transmitter {
  submit(order: SendOrder): void;
}
