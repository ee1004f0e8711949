import { EFF_FLAG, ERR_FLAG, MAX_EXTENDED_ID, MAX_STANDARD_ID, RTR_FLAG } from "./id.ts";
import type { FrameBatch } from "./frame-batch.ts";

/**
 * A receive filter as the kernel has it (`struct can_filter`, linux/can.h):
 * a frame passes when `(received & mask) === (id & mask)`, on id words.
 */
export interface CanFilter {
  /** Id word, flags included where the mask asks for them. */
  id: number;
  mask: number;
  /** Passes the frames that do not match instead (`CAN_INV_FILTER`). Default false. */
  inverted?: boolean;
}

/** A filter for one id or a range by mask, of one format only, data and remote frames alike. */
export function idFilter(arbitrationId: number, mask: number | undefined, isExtendedId: boolean): CanFilter {
  const full = isExtendedId ? MAX_EXTENDED_ID : MAX_STANDARD_ID;
  return {
    id: ((isExtendedId ? EFF_FLAG : 0) | (arbitrationId & full)) >>> 0,
    mask: (EFF_FLAG | ((mask ?? full) & full)) >>> 0,
  };
}

/** Whether an id word passes any of the filters; no filters let everything pass, error frames always pass. */
export function passesFilters(filters: readonly CanFilter[], idWord: number): boolean {
  if (filters.length === 0 || (idWord & ERR_FLAG) !== 0) return true;
  for (const filter of filters) {
    const matches = ((idWord ^ filter.id) & filter.mask) === 0;
    if (matches !== (filter.inverted ?? false)) return true;
  }
  return false;
}

/** The batch itself when every frame passes, else a copy with those that do. */
export function filterBatch(batch: FrameBatch, filters: readonly CanFilter[]): FrameBatch {
  if (filters.length === 0) return batch;
  for (let i = 0; i < batch.count; i++) {
    if (!passesFilters(filters, batch.idWord[i]!)) {
      return batch.filter((from, row) => passesFilters(filters, from.idWord[row]!));
    }
  }
  return batch;
}

/**
 * Reads filters as candump takes them: `123:7FF` match, `400~7F0` not match, comma or space separated.
 * Eight digits mean the extended format, three the base format.
 *
 * @throws RangeError naming the part that is wrong
 */
export function parseFilters(text: string): CanFilter[] {
  return text
    .split(/[,\s]+/)
    .filter((part) => part !== "")
    .map(parseFilter);
}

function parseFilter(part: string): CanFilter {
  const match = /^([0-9A-Fa-f]{1,8})(?:([:~])([0-9A-Fa-f]{1,8}))?$/.exec(part);
  if (!match) throw new RangeError(`filter "${part}": expected ID, ID:MASK or ID~MASK in hex, for example 123:7FF`);
  const [, idText = "", separator, maskText] = match;
  const id = parseInt(idText, 16);
  const extended = idText.length === 8;
  const full = extended ? MAX_EXTENDED_ID : MAX_STANDARD_ID;
  const plainId = id & ~(EFF_FLAG | RTR_FLAG | ERR_FLAG);
  if (plainId > full)
    throw new RangeError(`filter "${part}": id above ${full.toString(16)}; write 8 digits for 29 bits`);
  const mask = maskText === undefined ? full : parseInt(maskText, 16);
  const filter = idFilter(plainId, mask, extended);
  return separator === "~" ? { ...filter, inverted: true } : filter;
}
