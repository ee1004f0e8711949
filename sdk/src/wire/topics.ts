import { CanfleetError } from "../errors.ts";

/** Default base of all topics. */
export const DEFAULT_BASE = "canfleet";

const EDGE_NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;
const BUS_NAME = /^[A-Za-z0-9._-]{1,15}$/;
const BASE_NAME = /^[A-Za-z0-9_-]{1,32}(\/[A-Za-z0-9_-]{1,32}){0,3}$/;

/** What comes behind the bus in a topic. */
export const BUS_TOPICS = ["frames", "backfill", "status", "send", "sent", "request", "response"] as const;
export type BusTopic = (typeof BUS_TOPICS)[number];
/** What comes behind the edge in a topic. */
export const EDGE_TOPICS = ["state", "info", "ack", "ping", "pong"] as const;
export type EdgeTopic = (typeof EDGE_TOPICS)[number];

export function isEdgeName(name: string): boolean {
  return EDGE_NAME.test(name);
}

export function isBusName(name: string): boolean {
  return BUS_NAME.test(name);
}

/** @throws CanfleetError `WIRE_BAD_TOPIC` */
export function assertEdgeName(name: string): void {
  if (isEdgeName(name)) return;
  const wanted = "1 to 32 of a–z, 0–9, _ and -, beginning with a letter or digit";
  throw new CanfleetError("WIRE_BAD_TOPIC", `edge name ${JSON.stringify(name)}: expected ${wanted}`);
}

/** @throws CanfleetError `WIRE_BAD_TOPIC` */
export function assertBusName(name: string): void {
  if (isBusName(name)) return;
  throw new CanfleetError(
    "WIRE_BAD_TOPIC",
    `bus name ${JSON.stringify(name)}: expected 1 to 15 of A–Z, a–z, 0–9, . _ and -`,
  );
}

/** @throws CanfleetError `WIRE_BAD_TOPIC` */
export function assertBase(base: string): void {
  if (BASE_NAME.test(base)) return;
  throw new CanfleetError(
    "WIRE_BAD_TOPIC",
    `base ${JSON.stringify(base)}: expected up to 4 levels of A–Z, a–z, 0–9, _ and -`,
  );
}

/** Topic, or topic filter where `edge` is "+". */
export function edgeTopic(base: string, edge: string, leaf: EdgeTopic): string {
  return `${base}/${edge}/${leaf}`;
}

/** Topic, or topic filter where `edge` or `bus` is "+". */
export function busTopic(base: string, edge: string, bus: string, leaf: BusTopic): string {
  return `${base}/${edge}/${bus}/${leaf}`;
}

/** Where bridges announce themselves; "+" for all of them. */
export function bridgeTopic(base: string, id: string): string {
  return `${base}/_bridges/${id}`;
}

export type ParsedTopic =
  { edge: string; bus: undefined; leaf: EdgeTopic } | { edge: string; bus: string; leaf: BusTopic };

/** What a topic under the base speaks of; undefined when it is none of ours. */
export function parseTopic(base: string, topic: string): ParsedTopic | undefined {
  if (!topic.startsWith(`${base}/`)) return undefined;
  const levels = topic.slice(base.length + 1).split("/");
  const [edge = "", second = "", third] = levels;
  if (!isEdgeName(edge) || levels.length < 2 || levels.length > 3) return undefined;
  if (third === undefined) {
    const own = EDGE_TOPICS.find((known) => known === second);
    return own ? { edge, bus: undefined, leaf: own } : undefined;
  }
  const leaf = BUS_TOPICS.find((known) => known === third);
  return isBusName(second) && leaf ? { edge, bus: second, leaf } : undefined;
}
