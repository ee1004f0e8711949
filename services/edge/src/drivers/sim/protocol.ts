/**
 * What the process that serves a simulated bus and its participants say to each other; little-endian, both ways.
 *
 * | offset | size | field                                    |
 * | ------ | ---- | ---------------------------------------- |
 * | 0      | 4    | length of the rest, 1 to 65536 bytes     |
 * | 4      | 1    | kind                                     |
 * | 5      |      | contents by kind                         |
 *
 * 1 hello (server, first): u8 version, f64 start of the story in µs since 1970, u32 seed.
 * 2 frames, one after the other: f64 time in µs (0 towards the server), u32 id word, u8 length, u8 DLC, u8 `FLAG_*`,
 *   then `length` bytes, none for remote frames.
 * 3 lost (server): u32 frames that this participant did not get because it was too slow.
 */
import {
  FLAG_BRS,
  FLAG_ESI,
  FLAG_FD,
  isRemoteWord,
  MAX_CLASSIC_LENGTH,
  MAX_FD_LENGTH,
  type FrameBatch,
} from "@canfleet/sdk";

export const PROTOCOL_VERSION = 1;
export const KIND_HELLO = 1;
export const KIND_FRAMES = 2;
export const KIND_LOST = 3;

const HEAD_BYTES = 4;
const MAX_BODY_BYTES = 65_536;
const HELLO_BYTES = 14;
const LOST_BYTES = 5;
const RECORD_BYTES = 15;

/** Most frames in one message: 256 of the longest are 20 KiB. */
export const MAX_FRAMES = 256;

/** Frames as senders may mark them; own and echo are the server's to say. */
const SENDER_FLAGS = FLAG_FD | FLAG_BRS | FLAG_ESI;

/** Where a story began, so that the next server goes on with it. */
export interface Story {
  startUs: number;
  seed: number;
}

function message(kind: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + bodyBytes);
  bytes.writeUInt32LE(bodyBytes, 0);
  bytes[HEAD_BYTES] = kind;
  return bytes;
}

export function encodeHello(story: Story): Buffer {
  const bytes = message(KIND_HELLO, HELLO_BYTES);
  bytes[HEAD_BYTES + 1] = PROTOCOL_VERSION;
  bytes.writeDoubleLE(story.startUs, HEAD_BYTES + 2);
  bytes.writeUInt32LE(story.seed, HEAD_BYTES + 10);
  return bytes;
}

/** The story; undefined where another version of the protocol is spoken. */
export function decodeHello(body: Buffer): Story | undefined {
  if (body.length !== HELLO_BYTES || body[1] !== PROTOCOL_VERSION) return undefined;
  return { startUs: body.readDoubleLE(2), seed: body.readUInt32LE(10) };
}

export function encodeLost(frames: number): Buffer {
  const bytes = message(KIND_LOST, LOST_BYTES);
  bytes.writeUInt32LE(Math.min(frames, 0xffffffff), HEAD_BYTES + 1);
  return bytes;
}

/** Frames; undefined where the body is not such a message. */
export function decodeLost(body: Buffer): number | undefined {
  return body.length === LOST_BYTES ? body.readUInt32LE(1) : undefined;
}

/** Rows `from` up to `to`, at most `MAX_FRAMES`; `marks` is added to each frame's flags. */
export function encodeFrames(batch: FrameBatch, from: number, to: number, marks: number): Buffer {
  const payloadBytes = batch.dataOffset[to]! - batch.dataOffset[from]!;
  const bytes = message(KIND_FRAMES, 1 + (to - from) * RECORD_BYTES + payloadBytes);
  let at = HEAD_BYTES + 1;
  for (let i = from; i < to; i++) {
    at = bytes.writeDoubleLE(batch.timestampUs[i]!, at);
    at = bytes.writeUInt32LE(batch.idWord[i]!, at);
    bytes[at++] = batch.length[i]!;
    bytes[at++] = batch.dlc[i]!;
    bytes[at++] = (batch.flags[i]! & SENDER_FLAGS) | marks;
    const payloadEnd = batch.dataOffset[i + 1]!;
    for (let byte = batch.dataOffset[i]!; byte < payloadEnd; byte++) bytes[at++] = batch.data[byte]!;
  }
  return bytes;
}

/**
 * Adds the frames of a message to a batch, handing the batch on whenever it is full.
 *
 * @returns false where the bytes are no frames; those before the fault are in the batch
 */
export function decodeFrames(body: Buffer, batch: FrameBatch, flush: () => void): boolean {
  let at = 1;
  while (at < body.length) {
    if (body.length - at < RECORD_BYTES) return false;
    const idWord = body.readUInt32LE(at + 8);
    const length = body[at + 12]!;
    const dlc = body[at + 13]!;
    const flags = body[at + 14]!;
    const stored = isRemoteWord(idWord) ? 0 : length;
    const limit = flags & FLAG_FD ? MAX_FD_LENGTH : MAX_CLASSIC_LENGTH;
    if (length > limit || dlc > 15 || body.length - at - RECORD_BYTES < stored) return false;
    if (!batch.fits(stored)) flush();
    const i = batch.count;
    batch.timestampUs[i] = body.readDoubleLE(at);
    batch.timestampNs[i] = 0;
    batch.idWord[i] = idWord;
    batch.length[i] = length;
    batch.dlc[i] = dlc;
    batch.flags[i] = flags;
    at += RECORD_BYTES;
    const start = batch.dataOffset[i]!;
    for (let byte = 0; byte < stored; byte++) batch.data[start + byte] = body[at + byte]!;
    batch.dataOffset[i + 1] = start + stored;
    batch.count = i + 1;
    at += stored;
  }
  return true;
}

/** Cuts a stream of bytes into message bodies, however they were split on the way. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** The next body, a view; undefined where it is not complete yet; false where the length cannot be right. */
  next(): Buffer | undefined | false {
    if (this.#rest.length < HEAD_BYTES) return undefined;
    const length = this.#rest.readUInt32LE(0);
    if (length < 1 || length > MAX_BODY_BYTES) return false;
    if (this.#rest.length < HEAD_BYTES + length) return undefined;
    const body = this.#rest.subarray(HEAD_BYTES, HEAD_BYTES + length);
    this.#rest = this.#rest.subarray(HEAD_BYTES + length);
    return body;
  }
}
