/**
 * What the messages of a simulated bus look like. One table says it all: the encoder sends by it and the DBC file
 * is written from it, so they cannot differ.
 */
export interface SignalSpec<State> {
  name: string;
  /** As in a DBC file: the least significant bit, for big-endian signals the most significant one. */
  startBit: number;
  /** 1–32. */
  bits: number;
  /** Default "little". */
  byteOrder?: "little" | "big";
  /** Two's complement. Default false. */
  signed?: boolean;
  /** value = raw × scale + offset. Default 1. */
  scale?: number;
  /** Default 0. */
  offset?: number;
  min: number;
  max: number;
  unit?: string;
  comment?: string;
  /** Names of raw values. */
  labels?: Readonly<Record<number, string>>;
  /**
   * The value in `unit`, cut to `min`…`max` when sent. "counter" goes up by one with each frame, 0 after `max`;
   * "checksum" is the CRC-8 of all other bytes (`crc8`), and takes a whole byte.
   */
  value: ((state: State) => number) | "counter" | "checksum";
}

export interface MessageSpec<State> {
  name: string;
  arbitrationId: number;
  isExtendedId: boolean;
  /** Payload length in bytes, 0–8. */
  length: number;
  periodMs: number;
  sender: string;
  comment: string;
  /** What bits without a signal are. Default 0; NMEA 2000 has them 0xFF. */
  fill?: 0 | 0xff;
  signals: readonly SignalSpec<State>[];
}

/** A bus full of messages, and the story that they tell. */
export interface World<State> {
  /** Nominal bit rate of the bus, bit/s; decides how long a frame lasts. */
  bitrate: number;
  messages: readonly MessageSpec<State>[];
  /**
   * What happens on this bus from a start time on; the same start and seed give the same story.
   *
   * @returns the state so many seconds after the start; one object, filled anew at each call
   */
  tell(startUs: number, seed: number): (seconds: number) => Readonly<State>;
}
