import { arbitrationIdOf, isErrorWord, isExtendedWord, isRemoteWord, makeIdWord, MAX_STANDARD_ID } from "./id.ts";
import { dlcOfLength, isFdLength, lengthOfDlc, MAX_CLASSIC_LENGTH, MAX_FD_LENGTH } from "./dlc.ts";
import { FLAG_BRS, FLAG_ESI, FLAG_FD, FLAG_OWN, type FrameBatch, type FrameParts } from "./frame-batch.ts";

/** What `new Message` takes; every part has a default. */
export interface MessageInit {
  /** µs since 1970 UTC. Default 0. */
  timestampUs?: number;
  /** 0–0x7FF, or 0–0x1FFFFFFF when extended. Default 0. */
  arbitrationId?: number;
  /** Default: true where the id does not fit 11 bits. */
  isExtendedId?: boolean;
  isRemoteFrame?: boolean;
  isErrorFrame?: boolean;
  isFd?: boolean | undefined;
  bitrateSwitch?: boolean | undefined;
  errorStateIndicator?: boolean | undefined;
  /** False for a frame that the capturing host sent itself. */
  isRx?: boolean | undefined;
  /** Bus it came from, `edge/bus` or an interface name. */
  channel?: string | undefined;
  /** Raw code 0–15; for a remote frame the requested length. Default: the smallest that holds the data. */
  dlc?: number;
  /** Payload; numbers 0–255. Copied. Default: empty. */
  data?: ArrayLike<number>;
}

/**
 * One CAN frame as python-can names its parts, in camel case.
 *
 * `isFd`, `bitrateSwitch`, `errorStateIndicator` and `isRx` are undefined where the source cannot tell.
 */
export class Message {
  /** µs since 1970 UTC; the clock that took it is the kernel's on the edge. */
  readonly timestampUs: number;
  readonly arbitrationId: number;
  readonly isExtendedId: boolean;
  readonly isRemoteFrame: boolean;
  readonly isErrorFrame: boolean;
  readonly isFd: boolean | undefined;
  readonly bitrateSwitch: boolean | undefined;
  readonly errorStateIndicator: boolean | undefined;
  readonly isRx: boolean | undefined;
  readonly channel: string | undefined;
  /** Raw data length code 0–15. (python-can's `dlc` is the payload length: that is `data.length` here.) */
  readonly dlc: number;
  /** Payload; empty for remote frames. */
  readonly data: Uint8Array;

  /** @throws RangeError when a part is out of range or the parts do not go together */
  constructor(init: MessageInit = {}) {
    this.timestampUs = init.timestampUs ?? 0;
    this.arbitrationId = init.arbitrationId ?? 0;
    this.isErrorFrame = init.isErrorFrame ?? false;
    this.isRemoteFrame = init.isRemoteFrame ?? false;
    this.isExtendedId = init.isExtendedId ?? (!this.isErrorFrame && this.arbitrationId > MAX_STANDARD_ID);
    this.data = bytesOf(init.data);
    this.isFd = "isFd" in init ? init.isFd : this.data.length > MAX_CLASSIC_LENGTH;
    this.bitrateSwitch = "bitrateSwitch" in init ? init.bitrateSwitch : false;
    this.errorStateIndicator = "errorStateIndicator" in init ? init.errorStateIndicator : false;
    this.isRx = "isRx" in init ? init.isRx : true;
    this.channel = init.channel;
    this.dlc = init.dlc ?? dlcOfLength(this.data.length);
    this.#check();
  }

  #check(): void {
    if (this.isErrorFrame && this.isRemoteFrame) throw new RangeError("a frame is either remote or error, not both");
    makeIdWord(this.arbitrationId, this.isExtendedId, this.isErrorFrame ? "error" : "data");
    if (!Number.isInteger(this.dlc) || this.dlc < 0 || this.dlc > 15) {
      throw new RangeError(`dlc must be 0 to 15, got ${this.dlc}`);
    }
    if (this.isRemoteFrame) {
      if (this.isFd) throw new RangeError("CAN FD has no remote frames (ISO 11898-1)");
      if (this.data.length > 0) throw new RangeError("a remote frame has no data; its dlc says what it asks for");
      return;
    }
    if (this.isFd && !isFdLength(this.data.length)) {
      throw new RangeError(`a CAN FD payload has 0–8, 12, 16, 20, 24, 32, 48 or 64 bytes, got ${this.data.length}`);
    }
    if (lengthOfDlc(this.dlc, this.isFd ?? false) !== this.data.length) {
      throw new RangeError(`dlc ${this.dlc} does not go with ${this.data.length} bytes of data`);
    }
  }

  /** Seconds since 1970 UTC, as python-can gives it. */
  get timestamp(): number {
    return this.timestampUs / 1e6;
  }

  /** The 32 bits of linux/can.h. */
  get idWord(): number {
    const kind = this.isErrorFrame ? "error" : this.isRemoteFrame ? "remote" : "data";
    return makeIdWord(this.arbitrationId, this.isExtendedId, kind);
  }

  /** The parts a `FrameBatch` takes. The payload is shared, not copied. */
  toParts(): FrameParts {
    const flags =
      (this.isFd ? FLAG_FD : 0) |
      (this.bitrateSwitch ? FLAG_BRS : 0) |
      (this.errorStateIndicator ? FLAG_ESI : 0) |
      (this.isRx === false ? FLAG_OWN : 0);
    const length = this.isRemoteFrame ? lengthOfDlc(this.dlc, false) : this.data.length;
    return { timestampUs: this.timestampUs, idWord: this.idWord, data: this.data, length, dlc: this.dlc, flags };
  }

  /** Frame `i` of a batch, with a payload of its own. */
  static fromBatch(batch: FrameBatch, i: number, channel?: string): Message {
    const idWord = batch.idWord[i]!;
    const flags = batch.flags[i]!;
    const tell = (flag: number): boolean | undefined => (batch.unknownFlags & flag ? undefined : (flags & flag) !== 0);
    const own = tell(FLAG_OWN);
    return new Message({
      timestampUs: batch.timestampUs[i]!,
      arbitrationId: arbitrationIdOf(idWord),
      isExtendedId: isExtendedWord(idWord),
      isRemoteFrame: isRemoteWord(idWord),
      isErrorFrame: isErrorWord(idWord),
      isFd: tell(FLAG_FD),
      bitrateSwitch: tell(FLAG_BRS),
      errorStateIndicator: tell(FLAG_ESI),
      isRx: own === undefined ? undefined : !own,
      channel,
      dlc: batch.dlc[i]!,
      data: batch.payload(i),
    });
  }
}

function bytesOf(data: ArrayLike<number> | undefined): Uint8Array {
  if (!data) return new Uint8Array(0);
  if (data.length > MAX_FD_LENGTH) throw new RangeError(`at most ${MAX_FD_LENGTH} data bytes, got ${data.length}`);
  if (data instanceof Uint8Array) return data.slice();
  return Uint8Array.from(data, (byte) => {
    if (!Number.isInteger(byte) || byte < 0 || byte > 255) throw new RangeError(`data bytes are 0 to 255, got ${byte}`);
    return byte;
  });
}
