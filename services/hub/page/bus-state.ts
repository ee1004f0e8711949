import type { BusAnswer, EdgeAnswer } from "./fleet-api.ts";

/** State of a bus for people: a word, and a shape of its own, so that colour is never needed to tell them apart. */
export interface ShownState {
  word: string;
  shape: string;
  tone: "ok" | "plain" | "bad";
  /** Whether the edge still reports: rates and loads that nobody refreshes say nothing of now. */
  isCurrent: boolean;
}

/** An edge reports each second; after this long without, what is shown is old, ms. */
const STALE_AFTER_MS = 5_000;

export function shownState(edge: EdgeAnswer, bus: BusAnswer): ShownState {
  if (edge.state === "offline") return { word: "offline", shape: "○", tone: "bad", isCurrent: false };
  if (bus.ageMs === null || bus.ageMs > STALE_AFTER_MS) {
    return { word: "stale", shape: "◌", tone: "bad", isCurrent: false };
  }
  return { ...reportedState(bus), isCurrent: true };
}

function reportedState(bus: BusAnswer): Omit<ShownState, "isCurrent"> {
  if (bus.state === "down" || bus.state === "gone") return { word: bus.state, shape: "■", tone: "bad" };
  if (bus.busState === "bus-off") return { word: "bus-off", shape: "✕", tone: "bad" };
  if (bus.busState === "error-passive") return { word: "passive", shape: "▲", tone: "bad" };
  if (bus.busState === "error-warning") return { word: "warning", shape: "△", tone: "plain" };
  if ((bus.framesPerSecond ?? 0) > 0) return { word: "live", shape: "●", tone: "ok" };
  return { word: "quiet", shape: "◐", tone: "plain" };
}
