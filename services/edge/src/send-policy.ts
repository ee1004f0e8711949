import { isErrorWord, parseFilters, passesFilters, type CanFilter } from "@canfleet/sdk";
import type { SendSource } from "./transmit.ts";

/** Who may put what on a bus. */
export interface SendPolicy {
  /** As it was written. */
  text: string;
  /** Sources that may send at all. */
  sources: ReadonlySet<SendSource>;
  /** Frames they may send; empty: all. */
  ids: readonly CanFilter[];
}

const ALL_SOURCES: ReadonlySet<SendSource> = new Set(["link", "guest", "mqtt", "bridge"]);

/**
 * Reads `none` (nobody), `link` (hosts that the operator named, and the edge's own bridges), `all`, or a list of ids
 * that anybody who reaches the edge may send: `123,1F334455,200:7F0`. Eight digits mean the extended format.
 *
 * @throws RangeError naming the part that is wrong
 */
export function parseSendPolicy(text: string): SendPolicy {
  if (text === "none") return { text, sources: new Set(), ids: [] };
  if (text === "link") return { text, sources: new Set(["link", "bridge"]), ids: [] };
  if (text === "all") return { text, sources: ALL_SOURCES, ids: [] };
  const ids = parseFilters(text);
  if (ids.length === 0) throw new RangeError(`expected none, link, all or a list of ids, got ${JSON.stringify(text)}`);
  if (ids.some((filter) => filter.inverted)) throw new RangeError("an allow-list names what may be sent: no ~ in it");
  return { text, sources: ALL_SOURCES, ids };
}

/** Whether a frame with this id word may be sent. Error frames never may: they are the kernel's to make. */
export function maySend(policy: SendPolicy, source: SendSource, idWord: number): boolean {
  return !isErrorWord(idWord) && policy.sources.has(source) && passesFilters(policy.ids, idWord);
}
