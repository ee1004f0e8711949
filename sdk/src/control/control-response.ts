import { CONTROL_CODES, type ControlCode } from "./control-request.ts";
import { parseObject } from "./json-object.ts";

/** How far an edge lets itself be controlled: not at all, for a time that must be renewed, or until it restarts. */
export type ControlMode = "none" | "lease" | "stay";

/** One setting of a bus. */
export interface LiveSetting<T> {
  /** What was asked for from afar; empty or null where nothing was. */
  value: T;
  /** What the edge's own configuration says. */
  configured: T;
  /** Whose `value` is. */
  by: string | null;
  /** Time left, ms; null where it stays, or nobody holds it. */
  leaseMs: number | null;
}

/** A periodic send that an edge keeps. */
export interface KeptTask {
  task: string;
  by: string;
  /** In cansend's notation. */
  frame: string;
  periodMs: number;
  keptBy: "kernel" | "edge";
  /** The interface is down, or the controller bus-off. */
  paused: boolean;
  /** Frames seen on the bus, or sent, where the edge keeps the beat itself. */
  sent: number;
  /** Time left, ms; null where it stays. */
  leaseMs: number | null;
}

/** What of a bus can be controlled from afar (docs/wire-mqtt.md 3.5). */
export interface BusSettings {
  control: ControlMode;
  /** In candump's notation. */
  filters: LiveSetting<string>;
  /** How often the newest frame of each id is handed on, Hz; null: every frame. */
  latest: LiveSetting<number | null>;
  urgent: LiveSetting<string>;
  tasks: KeptTask[];
}

/** An edge's answer. */
export type ControlResponse = { id: string; op: string } & (
  { ok: true; settings: BusSettings } | { ok: false; code: ControlCode; error: string }
);

export function encodeControlResponse(response: ControlResponse): string {
  return JSON.stringify(response);
}

/** Reads an answer; undefined when it answers something else, or is none. */
export function decodeControlResponse(bytes: Uint8Array): ControlResponse | undefined {
  const value = parseObject(bytes);
  if (!value || typeof value.id !== "string" || typeof value.op !== "string" || value.op === "backfill")
    return undefined;
  const { id, op } = value;
  if (value.ok !== true) {
    const code = CONTROL_CODES.find((known) => known === value.code) ?? "failed";
    return { id, op, ok: false, code, error: typeof value.error === "string" ? value.error : code };
  }
  return isSettings(value.settings) ? { id, op, ok: true, settings: value.settings } : undefined;
}

function isSettings(value: unknown): value is BusSettings {
  if (!isObject(value) || !Array.isArray(value.tasks)) return false;
  return [value.filters, value.latest, value.urgent].every(isSetting) && value.tasks.every(isTask);
}

function isSetting(value: unknown): boolean {
  return isObject(value) && (value.by === null || typeof value.by === "string");
}

function isTask(value: unknown): boolean {
  return isObject(value) && typeof value.task === "string" && typeof value.by === "string";
}

function isObject(value: unknown): value is { [key: string]: unknown } {
  return typeof value === "object" && value !== null;
}
