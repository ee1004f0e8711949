import type { BenchRun } from "../bench-run.ts";
import { captureScenario } from "./capture.ts";
import { fleetScenario } from "./fleet.ts";
import { hubScenario } from "./hub.ts";
import { idleScenario } from "./idle.ts";
import { linkScenario, selfCheckScenario } from "./link.ts";
import { memoryScenario } from "./memory.ts";
import { scaleScenario } from "./scale.ts";
import { sendScenario } from "./send.ts";
import { appScenario } from "./app.ts";
import { enduranceScenario, fdScenario, togetherScenario } from "./together.ts";
import { wireScenario } from "./wire.ts";

/** What can be measured, in the order in which it is. */
export const SCENARIOS = {
  self: selfCheckScenario,
  capture: captureScenario,
  link: linkScenario,
  send: sendScenario,
  app: appScenario,
  hub: hubScenario,
  fleet: fleetScenario,
  scale: scaleScenario,
  together: togetherScenario,
  endurance: enduranceScenario,
  memory: memoryScenario,
  fd: fdScenario,
  wire: wireScenario,
  idle: idleScenario,
} as const satisfies { [name: string]: (run: BenchRun) => Promise<void> };

export type ScenarioName = keyof typeof SCENARIOS;

/** Those that need a bus: the others have no use for SocketCAN. */
export const VCAN_SCENARIOS: ReadonlySet<ScenarioName> = new Set([
  "self",
  "capture",
  "link",
  "send",
  "together",
  "endurance",
  "fd",
]);
