import type { CommandSpec } from "./command-spec.ts";
import { ENROLL, KEY, TOKEN, USER } from "./table/access.ts";
import { DUMP, GEN, PLAY, RECORD, SEND } from "./table/frames.ts";
import { COMPLETION, DOCTOR, HELP, LS } from "./table/look.ts";
import { BRIDGE, DEMO, EDGE, HUB } from "./table/run.ts";

/** Every command, in the order of the help. Parsing, help, completion and docs/cli.md are made from it. */
export const COMMANDS: readonly CommandSpec[] = [
  DEMO,
  EDGE,
  HUB,
  BRIDGE,
  DUMP,
  SEND,
  GEN,
  PLAY,
  RECORD,
  ENROLL,
  KEY,
  USER,
  TOKEN,
  LS,
  DOCTOR,
  COMPLETION,
  HELP,
];

export const COMMAND_GROUPS = {
  run: "Run",
  frames: "Frames",
  access: "Who may what at a hub",
  look: "Look around",
} as const satisfies Record<CommandSpec["group"], string>;

/** The command of that name; undefined when there is none. */
export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}
