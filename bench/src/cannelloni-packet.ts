/**
 * A data packet of cannelloni's UDP format, version 2. All numbers are big-endian.
 *
 *     0  1  version, 2
 *     1  1  kind, 0 for data
 *     2  1  sequence number
 *     3  2  number of frames, which follow:
 *           4    SocketCAN's id word
 *           1    payload length; with bit 7 set this is a CAN FD frame
 *           0-1  flags, in CAN FD frames only
 *           0-64 payload; none in remote frames, whatever their length says
 */
const VERSION = 2;
const DATA = 0;
const HEAD_BYTES = 5;
const FRAME_HEAD_BYTES = 5;
const FD_BIT = 0x80;
const MAX_LENGTH = 64;
const RTR_FLAG = 0x4000_0000;

/** Where the payload of each frame in the packet begins; undefined when this is no data packet, or not a whole one. */
export function payloadOffsets(packet: Uint8Array): number[] | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  if (packet.length < HEAD_BYTES || packet[0] !== VERSION || packet[1] !== DATA) return undefined;
  const offsets: number[] = [];
  let at = HEAD_BYTES;
  for (let left = view.getUint16(3); left > 0; left--) {
    if (at + FRAME_HEAD_BYTES > packet.length) return undefined;
    const isRemote = (view.getUint32(at) & RTR_FLAG) !== 0;
    const lengthByte = packet[at + 4]!;
    const length = lengthByte & ~FD_BIT;
    const payload = at + FRAME_HEAD_BYTES + (lengthByte & FD_BIT ? 1 : 0);
    at = payload + (isRemote ? 0 : length);
    if (length > MAX_LENGTH || at > packet.length) return undefined;
    offsets.push(payload);
  }
  return offsets;
}
