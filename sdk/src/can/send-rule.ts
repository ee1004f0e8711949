import { MAX_FD_LENGTH } from "./dlc.ts";
import { FLAG_FD, type FrameBatch } from "./frame-batch.ts";
import { EFF_FLAG, MAX_EXTENDED_ID, MAX_STANDARD_ID } from "./id.ts";

/**
 * Who asks an edge to send: a host on a raw link that the operator named (dialled, or let in by address),
 * any other host that came to a raw link, an MQTT client, or a bridge of the edge.
 */
export const SEND_SOURCES = ["link", "guest", "mqtt", "bridge"] as const;
export type SendSource = (typeof SEND_SOURCES)[number];

/** A rule of a bus's allow-list (docs/sending.md 2), read. A frame must meet all of it. */
export interface SendRule {
  /** The rule for people, in a line. */
  text: string;
  sources: ReadonlySet<SendSource>;
  /** Passes id words with `(idWord ^ id) & mask === 0`; the mask holds EFF where the rule is for one format. */
  id: number;
  mask: number;
  /** 4-bit code, 0–15. */
  minDlc: number;
  maxDlc: number;
  /** Payload bytes, 0–64. */
  minLength: number;
  maxLength: number;
  /** Undefined: classic and CAN FD. */
  isFd: boolean | undefined;
  /** Frames a second; undefined: no limit. */
  maxRateHz: number | undefined;
  /** Frames at once after a pause; only with `maxRateHz`. */
  burst: number;
}

/** A rule as configuration has it. Ids and masks are hex text; ranges are `N` or `MIN-MAX`. */
export interface SendRuleConfig {
  /** Default: any. */
  id?: string;
  /** Default: all bits of the id. */
  mask?: string;
  /** Default: extended where the id has 8 digits; without id both. */
  format?: "standard" | "extended";
  /** 4-bit code, 0–15. Default: any. */
  dlc?: string;
  /** Payload bytes, 0–64. Default: any. */
  length?: string;
  /** true: CAN FD only, false: classic only. Default: both. */
  fd?: boolean;
  /** Frames a second, 0.01–100,000. Default: no limit. */
  maxRateHz?: number;
  /** Frames at once after a pause, 1–100,000. Default: one second's worth. */
  burst?: number;
  /** Default: everybody. */
  from?: SendSource | readonly SendSource[];
}

/** A mistake in a rule: the key that is wrong (empty: the rule as a whole), and what was wanted. */
export interface SendRuleMistake {
  key: keyof SendRuleConfig | "";
  text: string;
}

export const MAX_SEND_RATE_HZ = 100_000;
const MIN_SEND_RATE_HZ = 0.01;
const MAX_DLC = 15;
const WANTED_RULE = "ID[:MASK][/x|/s] in hex, for example 123, 18DAF110 or 7E0:7F8";
const ALL_SOURCES: ReadonlySet<SendSource> = new Set(SEND_SOURCES);
const NAMED: ReadonlySet<SendSource> = new Set(["link", "bridge"]);

const EVERYTHING: SendRule = {
  text: "all",
  sources: ALL_SOURCES,
  id: 0,
  mask: 0,
  minDlc: 0,
  maxDlc: MAX_DLC,
  minLength: 0,
  maxLength: MAX_FD_LENGTH,
  isFd: undefined,
  maxRateHz: undefined,
  burst: 0,
};

/**
 * Reads `none`, `link`, `all`, or rules `ID[:MASK][/x|/s]` after commas or spaces, `link` among them.
 *
 * @throws RangeError naming the part that is wrong
 */
export function parseSendRules(text: string): SendRule[] {
  if (text === "none") return [];
  if (text === "all") return [EVERYTHING];
  const parts = text.split(/[,\s]+/).filter((part) => part !== "");
  if (parts.length === 0)
    throw new RangeError(`expected none, link, all or a list of ids, got ${JSON.stringify(text)}`);
  return parts.map(parsePart);
}

function parsePart(part: string): SendRule {
  if (part === "link") return { ...EVERYTHING, text: "link", sources: NAMED };
  if (part === "none" || part === "all") throw new RangeError(`"${part}" stands alone, not in a list`);
  if (part.includes("~")) throw new RangeError("an allow-list names what may be sent: no ~ in it");
  const match = /^([0-9A-Fa-f]{1,8})(?::([0-9A-Fa-f]{1,8}))?(?:\/([xs]))?$/.exec(part);
  if (!match) throw new RangeError(`rule "${part}": expected ${WANTED_RULE}`);
  const [, id = "", mask, letter] = match;
  const { rule, mistakes } = readSendRule({
    id,
    ...(mask === undefined ? {} : { mask }),
    ...(letter === undefined ? {} : { format: letter === "x" ? "extended" : "standard" }),
  });
  if (mistakes[0]) throw new RangeError(`rule "${part}": ${mistakes[0].text}`);
  return { ...rule, text: part };
}

/** Reads one rule of a configuration; with mistakes the rule is one that must not be used. */
export function readSendRule(config: SendRuleConfig): { rule: SendRule; mistakes: SendRuleMistake[] } {
  const mistakes: SendRuleMistake[] = [];
  const add = (key: SendRuleMistake["key"], text: string): void => void mistakes.push({ key, text });
  const dlc = readRange("dlc", config.dlc, MAX_DLC, add);
  const length = readRange("length", config.length, MAX_FD_LENGTH, add);
  const rule: SendRule = {
    ...EVERYTHING,
    ...readIds(config, add),
    text: describeRule(config),
    sources: readSources(config.from, add),
    minDlc: dlc[0],
    maxDlc: dlc[1],
    minLength: length[0],
    maxLength: length[1],
    isFd: config.fd,
    maxRateHz: config.maxRateHz,
    burst: config.burst ?? Math.max(1, Math.ceil(config.maxRateHz ?? 0)),
  };
  checkRate(config, add);
  return { rule, mistakes };
}

type Add = (key: SendRuleMistake["key"], text: string) => void;

function readIds({ id, mask, format }: SendRuleConfig, add: Add): Pick<SendRule, "id" | "mask"> {
  if (id === undefined) {
    if (mask !== undefined) add("mask", "only together with id");
    if (format === undefined) return { id: 0, mask: 0 };
    return { id: format === "extended" ? EFF_FLAG : 0, mask: EFF_FLAG };
  }
  const isExtended = format === undefined ? id.length === 8 : format === "extended";
  const full = isExtended ? MAX_EXTENDED_ID : MAX_STANDARD_ID;
  // As candump's filters: flag bits of 8 digits are passed over, and a mask may say more bits than an id has.
  const idValue = id.length === 8 ? readHex(id) & MAX_EXTENDED_ID : readHex(id);
  const maskValue = mask === undefined ? full : readHex(mask);
  const hint = isExtended ? "" : "; 8 digits or the extended format for 29 bits";
  if (!(idValue <= full) || Number.isNaN(readHex(id)))
    add("id", `expected hex up to ${full.toString(16)}, got "${id}"${hint}`);
  if (Number.isNaN(maskValue)) add("mask", `expected up to 8 hex digits, got "${mask ?? ""}"`);
  return { id: ((isExtended ? EFF_FLAG : 0) | idValue) >>> 0, mask: (EFF_FLAG | (maskValue & full)) >>> 0 };
}

function readHex(text: string): number {
  return /^[0-9A-Fa-f]{1,8}$/.test(text) ? parseInt(text, 16) : NaN;
}

function readRange(key: "dlc" | "length", text: string | undefined, max: number, add: Add): [number, number] {
  if (text === undefined) return [0, max];
  const match = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(text.replace(/\s/g, ""));
  const low = Number(match?.[1] ?? NaN);
  const high = Number(match?.[2] ?? match?.[1] ?? NaN);
  if (!(low <= high && high <= max)) add(key, `expected a number or MIN-MAX from 0 to ${max}, got "${text}"`);
  return [low, high];
}

function readSources(from: SendRuleConfig["from"], add: Add): ReadonlySet<SendSource> {
  if (from === undefined) return ALL_SOURCES;
  const names = typeof from === "string" ? [from] : from;
  const wrong = names.filter((name) => !ALL_SOURCES.has(name));
  if (names.length === 0 || wrong.length > 0) add("from", `expected one or more of ${SEND_SOURCES.join(", ")}`);
  return new Set(names);
}

function checkRate({ maxRateHz, burst }: SendRuleConfig, add: Add): void {
  if (maxRateHz !== undefined && !(maxRateHz >= MIN_SEND_RATE_HZ && maxRateHz <= MAX_SEND_RATE_HZ))
    add("maxRateHz", `expected ${MIN_SEND_RATE_HZ} to ${MAX_SEND_RATE_HZ} frames/s, got ${maxRateHz}`);
  if (burst === undefined) return;
  if (maxRateHz === undefined) add("burst", "only together with maxRateHz");
  if (!(Number.isInteger(burst) && burst >= 1 && burst <= MAX_SEND_RATE_HZ))
    add("burst", `expected 1 to ${MAX_SEND_RATE_HZ} frames, got ${burst}`);
}

function describeRule(config: SendRuleConfig): string {
  const { id = "any", mask, format, dlc, length, fd, maxRateHz, from } = config;
  const conditions = [
    dlc === undefined ? "" : `dlc ${dlc}`,
    length === undefined ? "" : `length ${length}`,
    fd === undefined ? "" : fd ? "fd" : "classic",
    maxRateHz === undefined ? "" : `${maxRateHz}/s`,
    from === undefined ? "" : `from ${typeof from === "string" ? from : from.join(" ")}`,
  ].filter((part) => part !== "");
  const ids = `${id}${mask === undefined ? "" : `:${mask}`}${format === undefined ? "" : format === "extended" ? "/x" : "/s"}`;
  return conditions.length === 0 ? ids : `${ids} (${conditions.join("; ")})`;
}

/** Whether the rule names frame `row` for this source, whatever the rate. Error frames are the caller's to refuse. */
export function ruleNames(rule: SendRule, source: SendSource, frames: FrameBatch, row: number): boolean {
  const dlc = frames.dlc[row]!;
  const length = frames.length[row]!;
  return (
    ((frames.idWord[row]! ^ rule.id) & rule.mask) === 0 &&
    rule.sources.has(source) &&
    dlc >= rule.minDlc &&
    dlc <= rule.maxDlc &&
    length >= rule.minLength &&
    length <= rule.maxLength &&
    (rule.isFd === undefined || rule.isFd === ((frames.flags[row]! & FLAG_FD) !== 0))
  );
}
