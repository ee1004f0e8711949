import type { BenchRun } from "../bench-run.ts";
import { linkScenario, selfCheckScenario } from "./link.ts";

/** What can be measured, in the order in which it is. */
export const SCENARIOS = {
  self: selfCheckScenario,
  link: linkScenario,
} as const satisfies { [name: string]: (run: BenchRun) => Promise<void> };

export type ScenarioName = keyof typeof SCENARIOS;
