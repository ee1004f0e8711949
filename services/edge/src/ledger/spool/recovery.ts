import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  decodeGone,
  decodeHeader,
  findRecords,
  HEADER_BYTES,
  KIND_BATCH,
  KIND_END,
  KIND_GONE,
  isSameBoot,
  parseSegmentFile,
  RECORD_BYTES,
  type EpochRange,
  type FoundRecord,
  type SegmentHeader,
} from "./segment-format.ts";
import { Segment } from "./segment.ts";

/** Larger files are none of ours. */
const MAX_FILE_BYTES = 1024 * 1024 * 1024;
/** Bytes that are checked in one turn of the event loop. */
const TURN_BYTES = 256 * 1024;

/** What earlier lives left of one segment. */
export interface RecoveredSegment {
  segment: Segment;
  /** Numbers that were written and are not there. */
  damaged: EpochRange[];
  /** What the segment says is gone. */
  gone: EpochRange[];
  /** Bytes in it are no record: what they were is not known. */
  isDamaged: boolean;
}

interface Candidate {
  segment: Segment;
  header: SegmentHeader | undefined;
}

/** How far the segments of one epoch of one bus were followed. */
interface Chain {
  bus: string;
  ordinal: number;
  /** One above the last number that was written there as far as is known; undefined: not known. */
  end: number | undefined;
  /** Its writer said that nothing follows. */
  isEnded: boolean;
}

/** What earlier lives left in a folder. */
export interface Recovered {
  /** The oldest segment first. */
  found: RecoveredSegment[];
  /** Buses of which more may be missing than `damaged` says, nobody knows how much. */
  unsure: Set<string>;
}

/**
 * Reads what earlier lives left in a folder; damage is passed over.
 *
 * @param bootId of this start of the machine: what was written before it counts as written at it
 * @throws Error when the folder cannot be read
 */
export async function recover(folder: string, edge: string, bootId: string): Promise<Recovered> {
  const chains = new Map<string, Chain>();
  const found: RecoveredSegment[] = [];
  const unsure = new Set<string>();
  for (const { segment, header } of await findSegments(folder, edge)) {
    const { bus, epoch, ordinal } = segment.id;
    const key = `${bus}@${epoch}`;
    const end = beginOf(chains.get(key), ordinal, header);
    if (end === undefined) unsure.add(bus);
    const chain: Chain = { bus, ordinal, end, isEnded: false };
    chains.set(key, chain);
    const recovered = await readSegment(folder, segment, chain, isSameBoot(bootId, header?.bootId ?? ""));
    if (recovered.isDamaged) unsure.add(bus);
    found.push(recovered);
  }
  for (const { bus, isEnded } of chains.values()) if (!isEnded) unsure.add(bus);
  return { found, unsure };
}

/** The first number that a segment must hold: no segment lies between two that follow each other. */
function beginOf(before: Chain | undefined, ordinal: number, header: SegmentHeader | undefined): number | undefined {
  const follows = before && (header?.previous === before.ordinal || ordinal === before.ordinal + 1);
  return (follows ? before.end : undefined) ?? header?.first;
}

async function findSegments(folder: string, edge: string): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const file of await readdir(folder)) {
    const named = parseSegmentFile(file);
    if (!named) continue;
    const header = decodeHeader(await readStart(join(folder, file)));
    if (header && header.edge !== edge) continue;
    found.push({ segment: new Segment(header ?? named, file), header });
  }
  return found.sort((a, b) => a.segment.id.ordinal - b.segment.id.ordinal);
}

async function readStart(path: string): Promise<Uint8Array> {
  try {
    const handle = await open(path, "r");
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return new Uint8Array(0);
  }
}

async function readSegment(
  folder: string,
  segment: Segment,
  chain: Chain,
  isThisBoot: boolean,
): Promise<RecoveredSegment> {
  const result: RecoveredSegment = { segment, damaged: [], gone: [], isDamaged: false };
  const bytes = await readWhole(join(folder, segment.file));
  segment.size = bytes.length;
  let end = HEADER_BYTES;
  let pauseAt = TURN_BYTES;
  for (const record of findRecords(bytes, HEADER_BYTES, segment.id.salt)) {
    if (record.offset !== end) result.isDamaged = true;
    end = record.offset + RECORD_BYTES + record.payload.length;
    if (record.kind === KIND_BATCH) enterBatch(result, chain, record, isThisBoot);
    if (record.kind === KIND_END) enterEnd(result, chain, record);
    if (record.kind === KIND_GONE) result.gone.push(...decodeGone(record.payload));
    if (record.offset > pauseAt) {
      pauseAt = record.offset + TURN_BYTES;
      await nextTurn();
    }
  }
  if (end !== bytes.length) result.isDamaged = true;
  return result;
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return (await stat(path)).size > MAX_FILE_BYTES ? new Uint8Array(0) : await readFile(path);
  } catch {
    return new Uint8Array(0);
  }
}

function enterBatch(result: RecoveredSegment, chain: Chain, record: FoundRecord, isThisBoot: boolean): void {
  const { segment } = result;
  const { epoch, seq, count } = record;
  if (epoch !== segment.id.epoch || count < 1 || seq < (chain.end ?? 0)) return;
  const uptimeMs = isThisBoot ? record.uptimeMs : 0;
  if (!segment.enter({ ...record, uptimeMs }, record.offset)) return;
  enterMissing(result, chain, record);
  chain.end = seq + count;
  chain.isEnded = false;
}

function enterEnd(result: RecoveredSegment, chain: Chain, record: FoundRecord): void {
  if (record.epoch !== result.segment.id.epoch || record.seq < (chain.end ?? 0)) return;
  enterMissing(result, chain, record);
  chain.isEnded = true;
}

/** What was written before a record and was not found. */
function enterMissing({ damaged }: RecoveredSegment, chain: Chain, { epoch, seq, run }: FoundRecord): void {
  const from = Math.max(chain.end ?? seq, run);
  if (from < seq) damaged.push({ epoch, from, to: seq });
}
