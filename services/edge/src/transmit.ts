import type { FrameBatch, SendCode } from "@canfleet/sdk";

/**
 * Who asks: a host on a raw link that the operator named (dialled, or let in by address), any other host that came to a
 * raw link, an MQTT client, or a bridge of this edge.
 */
export type SendSource = "link" | "guest" | "mqtt" | "bridge";

/** Frames that somebody asks to be put on the bus, in order. */
export interface SendOrder {
  /** Owned by the order from now on; timestamps and own/echo flags are ignored. */
  frames: FrameBatch;
  source: SendSource;
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
