import {
  FLAG_BRS,
  FLAG_ESI,
  FLAG_FD,
  FLAG_OWN,
  formatId,
  isExtendedWord,
  kindOf,
  type FrameBatch,
  type LossEvent,
} from "@canfleet/sdk";

/**
 * One frame as a line of JSON, without its end. Keys, in this order:
 * `bus`, `t` (µs since 1970 UTC), `id` (hex, 3 or 8 digits), `ext`, `kind` (data, remote, error), `dlc`, `len`,
 * `data` (hex), and where the source can tell: `fd`, `brs`, `esi` (CAN FD only), `own`.
 */
export function frameJson(batch: FrameBatch, i: number, channel: string): string {
  const idWord = batch.idWord[i]!;
  const tell = (flag: number): boolean | undefined =>
    batch.unknownFlags & flag ? undefined : (batch.flags[i]! & flag) !== 0;
  const fd = tell(FLAG_FD);
  return JSON.stringify({
    bus: channel,
    t: batch.timestampUs[i]!,
    id: formatId(idWord),
    ext: isExtendedWord(idWord),
    kind: kindOf(idWord),
    dlc: batch.dlc[i]!,
    len: batch.length[i]!,
    data: hexOf(batch.payload(i)),
    fd,
    brs: fd === true ? tell(FLAG_BRS) : undefined,
    esi: fd === true ? tell(FLAG_ESI) : undefined,
    own: tell(FLAG_OWN),
  });
}

/** Frames lost, as a line of JSON: `bus` and `lost`, frames by place, null where the number is not known. */
export function lossJson({ channel, lost }: LossEvent): string {
  return JSON.stringify({ bus: channel, lost });
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex").toUpperCase();
}
