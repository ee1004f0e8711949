import {
  dlcOfLength,
  isFdLength,
  lengthOfDlc,
  MAX_CLASSIC_LENGTH,
  MAX_EXTENDED_ID,
  MAX_FD_LENGTH,
  MAX_STANDARD_ID,
  Message,
} from "@canfleet/sdk";
import { UsageError } from "./usage-error.ts";

/** What is generated, in the letters of cangen. */
export interface GeneratorOptions {
  /** r, e (random, even), o (random, odd), i (counting up) or hex. */
  id: string;
  /** r, i or a number of bytes; undefined: r, or the length of fixed data. */
  length: string | undefined;
  /** r, i or hex. */
  data: string;
  extended: boolean;
  fd: boolean;
  brs: boolean;
  esi: boolean;
  remote: boolean;
  /** Choose extended, FD, BRS, ESI and remote at random for each frame. */
  mix: boolean;
  /** The same seed gives the same frames. */
  seed: number;
}

interface Format {
  extended: boolean;
  fd: boolean;
  brs: boolean;
  esi: boolean;
  remote: boolean;
}

/** Makes frames as cangen does. */
export class FrameGenerator {
  readonly #options: GeneratorOptions;
  readonly #fixedId: number | undefined;
  readonly #fixedLength: number | undefined;
  readonly #fixedData: Uint8Array | undefined;
  readonly #random: () => number;
  #count = 0;

  /** @throws UsageError when an id, a length or data is not as wanted */
  constructor(options: GeneratorOptions) {
    this.#options = options;
    this.#random = randomNumbers(options.seed);
    this.#fixedId = fixedId(options.id, options.extended);
    this.#fixedData = fixedData(options.data);
    this.#fixedLength =
      fixedLength(options.length) ?? (options.length === undefined ? this.#fixedData?.length : undefined);
    const longest = options.fd || options.brs || options.esi ? MAX_FD_LENGTH : MAX_CLASSIC_LENGTH;
    if (!options.mix && (this.#fixedLength ?? 0) > longest) {
      throw new UsageError(`${this.#fixedLength ?? 0} bytes need CAN FD (-f); a classic frame has up to 8`, "gen");
    }
  }

  next(): Message {
    const format = this.#format();
    const isExtendedId = format.extended || this.#options.id.length === 8;
    const arbitrationId = this.#id(isExtendedId ? MAX_EXTENDED_ID : MAX_STANDARD_ID);
    const length = this.#length(format.fd);
    this.#count++;
    const common = { arbitrationId, isExtendedId, isFd: format.fd, dlc: dlcOfLength(length) };
    if (format.remote) return new Message({ ...common, isRemoteFrame: true });
    const flags = { bitrateSwitch: format.brs, errorStateIndicator: format.esi };
    return new Message({ ...common, ...flags, data: this.#data(length) });
  }

  #format(): Format {
    const { extended, fd, brs, esi, remote, mix } = this.#options;
    if (!mix) return { extended, fd: fd || brs || esi, brs, esi, remote: remote && !(fd || brs || esi) };
    const bits = Math.floor(this.#random() * 32);
    const isFd = (bits & 2) !== 0;
    return {
      extended: (bits & 1) !== 0,
      fd: isFd,
      brs: isFd && (bits & 4) !== 0,
      esi: isFd && (bits & 8) !== 0,
      remote: !isFd && (bits & 16) !== 0,
    };
  }

  #id(max: number): number {
    if (this.#fixedId !== undefined) return this.#fixedId;
    if (this.#options.id === "i") return this.#count % (max + 1);
    const id = Math.floor(this.#random() * (max + 1));
    if (this.#options.id === "e") return id & ~1;
    return this.#options.id === "o" ? id | 1 : id;
  }

  #length(isFd: boolean): number {
    if (this.#fixedLength !== undefined) {
      return isFd ? lengthOfDlc(dlcOfLength(this.#fixedLength), true) : Math.min(this.#fixedLength, MAX_CLASSIC_LENGTH);
    }
    const codes = isFd ? 16 : MAX_CLASSIC_LENGTH + 1;
    const code = this.#options.length === "i" ? this.#count % codes : Math.floor(this.#random() * codes);
    return lengthOfDlc(code, isFd);
  }

  #data(length: number): Uint8Array {
    const data = new Uint8Array(length);
    if (this.#fixedData) data.set(this.#fixedData.subarray(0, length));
    else if (this.#options.data === "i") writeCounter(data, this.#count - 1);
    else for (let i = 0; i < length; i++) data[i] = Math.floor(this.#random() * 256);
    return data;
  }
}

/** Little-endian, as cangen counts, in as many bytes as there are. */
function writeCounter(data: Uint8Array, count: number): void {
  let rest = count;
  for (let i = 0; i < data.length; i++) {
    data[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function fixedId(text: string, extended: boolean): number | undefined {
  if (["r", "e", "o", "i"].includes(text)) return undefined;
  const id = /^[0-9A-Fa-f]{1,8}$/.test(text) ? parseInt(text, 16) : NaN;
  const max = extended || text.length === 8 ? MAX_EXTENDED_ID : MAX_STANDARD_ID;
  if (id <= max) return id;
  throw new UsageError(
    `-I ${text}: expected r, e, o, i or an id in hex up to ${max.toString(16).toUpperCase()}`,
    "gen",
  );
}

function fixedLength(text: string | undefined): number | undefined {
  if (text === undefined || text === "r" || text === "i") return undefined;
  const length = /^\d{1,2}$/.test(text) ? Number(text) : NaN;
  if (isFdLength(length)) return length;
  throw new UsageError(`-L ${text}: expected r, i or a payload length: 0–8, CAN FD 12, 16, 20, 24, 32, 48, 64`, "gen");
}

function fixedData(text: string): Uint8Array | undefined {
  if (text === "r" || text === "i") return undefined;
  if (/^([0-9A-Fa-f]{2}){1,64}$/.test(text)) return Uint8Array.from(Buffer.from(text, "hex"));
  throw new UsageError(`-D ${text}: expected r, i or 1 to 64 bytes in hex, such as DEADBEEF`, "gen");
}

/** Mulberry32: 32 bits of state are plenty for test frames, and a seed is a number that can be typed. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
