import type { MessageSpec, SignalSpec } from "./database.ts";

/** One bit of a payload: which byte, and its place in it. */
function bitPlaces<State>(signal: SignalSpec<State>): { byte: number; mask: number }[] {
  const places: { byte: number; mask: number }[] = [];
  let at = signal.startBit;
  for (let i = 0; i < signal.bits; i++) {
    places.push({ byte: at >> 3, mask: 1 << (at & 7) });
    if (signal.byteOrder !== "big") at++;
    // Big-endian bits go down within a byte and on with the top bit of the next byte (DBC, "Motorola").
    else at = (at & 7) === 0 ? at + 15 : at - 1;
  }
  // Least significant bit first for both.
  return signal.byteOrder === "big" ? places.reverse() : places;
}

/** CRC-8 of SAE J1850: polynomial 0x1D, start and final exclusive-or 0xFF; `skip` is the byte that will hold it. */
export function crc8(data: Uint8Array, skip: number): number {
  let crc = 0xff;
  for (let i = 0; i < data.length; i++) {
    if (i === skip) continue;
    crc ^= data[i]!;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80 ? ((crc << 1) ^ 0x1d) & 0xff : (crc << 1) & 0xff;
  }
  return crc ^ 0xff;
}

/** The raw value that a signal sends for a value in its unit: rounded, and cut to what the signal may be. */
export function rawOf<State>(signal: SignalSpec<State>, value: number): number {
  const cut = Math.min(signal.max, Math.max(signal.min, value));
  return Math.round((cut - (signal.offset ?? 0)) / (signal.scale ?? 1));
}

/** Makes the payloads of one message. */
export class MessageEncoder<State> {
  readonly spec: MessageSpec<State>;
  /** The latest payload; written again by each `encode`. */
  readonly payload: Uint8Array;
  readonly #places: { byte: number; mask: number }[][];
  #sent = 0;

  constructor(spec: MessageSpec<State>) {
    this.spec = spec;
    this.payload = new Uint8Array(spec.length).fill(spec.fill ?? 0);
    this.#places = spec.signals.map(bitPlaces);
  }

  /** Fills `payload` for a state. */
  encode(state: Readonly<State>): void {
    const { signals } = this.spec;
    let checksumByte = -1;
    for (let i = 0; i < signals.length; i++) {
      const signal = signals[i]!;
      if (signal.value === "checksum") checksumByte = signal.startBit >> 3;
      else if (signal.value === "counter") this.#put(i, this.#sent % (signal.max + 1));
      else this.#put(i, rawOf(signal, signal.value(state)));
    }
    if (checksumByte >= 0) this.payload[checksumByte] = crc8(this.payload, checksumByte);
    this.#sent++;
  }

  #put(signal: number, raw: number): void {
    let rest = raw;
    for (const { byte, mask } of this.#places[signal]!) {
      if (rest & 1) this.payload[byte]! |= mask;
      else this.payload[byte]! &= ~mask;
      rest >>= 1;
    }
  }
}
