import type { Arguments, CommandSpec } from "./command-spec.ts";
import { commandHelp, markdownReference, overviewHelp } from "./help.ts";
import { findCommand } from "./command-table.ts";
import { completionScript, SHELLS } from "./completion.ts";
import type { Context, Run } from "./context.ts";
import { EXIT_DONE } from "./exit-codes.ts";
import { unknownCommand } from "./unknown-command.ts";
import { parseCommand } from "./parse.ts";
import { ENROLL, KEY, TOKEN, USER } from "./table/access.ts";
import { DUMP, GEN, PLAY, RECORD, SEND } from "./table/frames.ts";
import { COMPLETION, DOCTOR, HELP, LS } from "./table/look.ts";
import { BRIDGE, DEMO, EDGE, HUB } from "./table/run.ts";
import { UsageError } from "./usage-error.ts";

type Start = (args: readonly string[], context: Context) => Promise<number>;

/** Joins a command to its code, which is loaded only when it runs: `--help` loads no library. */
function bind<C extends CommandSpec>(spec: C, load: () => Promise<Run<Arguments<C>>>): [string, Start] {
  return [
    spec.name,
    async (args, context) => {
      const parsed = parseCommand(spec, args);
      const run = await load();
      return run(parsed, context);
    },
  ];
}

const RUNNERS: ReadonlyMap<string, Start> = new Map([
  bind(DEMO, async () => (await import("./commands/demo.ts")).runDemo),
  bind(EDGE, async () => (await import("./commands/edge.ts")).runEdge),
  bind(HUB, async () => (await import("./commands/hub.ts")).runHub),
  bind(BRIDGE, async () => (await import("./commands/bridge.ts")).runBridge),
  bind(DUMP, async () => (await import("./commands/dump.ts")).runDump),
  bind(SEND, async () => (await import("./commands/send.ts")).runSend),
  bind(GEN, async () => (await import("./commands/gen.ts")).runGen),
  bind(PLAY, async () => (await import("./commands/play.ts")).runPlay),
  bind(RECORD, async () => (await import("./commands/record.ts")).runRecord),
  bind(ENROLL, async () => (await import("./commands/enroll.ts")).runEnroll),
  bind(KEY, async () => (await import("./commands/key.ts")).runKey),
  bind(USER, async () => (await import("./commands/user.ts")).runUser),
  bind(TOKEN, async () => (await import("./commands/token.ts")).runToken),
  bind(LS, async () => (await import("./commands/ls.ts")).runLs),
  bind(DOCTOR, async () => (await import("./commands/doctor.ts")).runDoctor),
  bind(COMPLETION, () => Promise.resolve(runCompletion)),
  bind(HELP, () => Promise.resolve(runHelp)),
]);

/** Runs a command of the table with the arguments behind its name; resolves with the exit code. */
export function startCommand(name: string, args: readonly string[], context: Context): Promise<number> {
  const start = RUNNERS.get(name);
  if (!start) throw unknownCommand(name);
  return start(args, context);
}

function runHelp({ options, positionals }: Arguments<typeof HELP>, { terminal }: Context): Promise<number> {
  const [name] = positionals;
  if (options.markdown) terminal.write(markdownReference());
  else if (name === undefined) terminal.write(overviewHelp());
  else {
    const spec = findCommand(name);
    if (!spec) throw unknownCommand(name);
    terminal.write(commandHelp(spec));
  }
  return Promise.resolve(EXIT_DONE);
}

function runCompletion({ positionals }: Arguments<typeof COMPLETION>, { terminal }: Context): Promise<number> {
  const shell = SHELLS.find((known) => known === positionals[0]);
  if (!shell)
    throw new UsageError(`no completion for "${positionals[0] ?? ""}": expected ${SHELLS.join(", ")}`, "completion");
  terminal.write(completionScript(shell));
  return Promise.resolve(EXIT_DONE);
}
