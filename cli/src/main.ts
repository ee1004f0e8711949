import { isCanfleetError, messageOf, type ErrorCode } from "@canfleet/sdk";
import { findCommand } from "./command-table.ts";
import type { Context } from "./context.ts";
import { EXIT_DONE, EXIT_USAGE, exitCodeOf, exitCodeOfStop } from "./exit-codes.ts";
import { commandHelp, overviewHelp } from "./help.ts";
import { Interrupted, Interruption } from "./interruption.ts";
import { startCommand } from "./runners.ts";
import { flushStdout, processTerminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";
import { versionText } from "./version.ts";

/** Runs the command line of this process to its end, and ends the process with the command's exit code. */
export async function main(argv: readonly string[]): Promise<never> {
  const interruption = new Interruption();
  interruption.listen();
  const terminal = processTerminal(interruption);
  const context: Context = { terminal, interruption, env: process.env, cwd: process.cwd() };
  let code: number;
  try {
    code = await runCommandLine(argv, context);
  } catch (error) {
    code = error instanceof Interrupted ? exitCodeOfStop(interruption.reason) : report(error, argv[0], context);
  }
  await flushStdout();
  // A command that is done has closed what it opened; a library's idle timer must not keep the process.
  process.exit(interruption.isOutputGone ? exitCodeOfStop(interruption.reason) : code);
}

async function runCommandLine(argv: readonly string[], context: Context): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined) {
    context.terminal.print(overviewHelp());
    return EXIT_USAGE;
  }
  if (first === "--help" || first === "-h") context.terminal.write(overviewHelp());
  else if (first === "--version" || first === "-V") context.terminal.write(versionText(rest.includes("--json")));
  else if (first.startsWith("-")) throw new UsageError(`expected a command before ${first}`);
  else if (wantsHelp(rest)) return startCommand("help", [first], context);
  else return startCommand(first, rest, context);
  return EXIT_DONE;
}

function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h");
}

/** What to do next, where that is not in the error's own words. */
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  HUB_UNREACHABLE: "canfleet hub starts one here; --hub URL or CANFLEET_HUB names another",
  HUB_REFUSED:
    "CANFLEET_USER with CANFLEET_PASSWORD_FILE, or CANFLEET_TOKEN_FILE, say who you are; or ask for the right",
  LINK_PORT_IN_USE: "another address (--listen, --http), or end what runs there: a canfleet hub or demo perhaps",
  CAN_NO_DRIVER: "canfleet doctor",
};

/** Commands that no user, password or other hub helps. */
const WITHOUT_HINTS: ReadonlySet<string> = new Set(["enroll", "key"]);

/** Says what went wrong: one sentence for what was foreseen, all there is for what was not. */
function report(error: unknown, command: string | undefined, { terminal }: Context): number {
  if (error instanceof UsageError) {
    terminal.say(error.message, "error");
    terminal.print(usageHint(error.command ?? command));
  } else if (isCanfleetError(error)) {
    terminal.say(error.message, "error", { code: error.code });
    const hint = command !== undefined && WITHOUT_HINTS.has(command) ? undefined : HINTS[error.code];
    if (hint !== undefined) terminal.print(`Try: ${hint}\n`);
  } else {
    const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
    terminal.say(`unexpected: ${messageOf(error)}`, "error", stack);
    if (error instanceof Error && error.stack !== undefined) terminal.print(`${error.stack}\n`);
  }
  return exitCodeOf(error);
}

function usageHint(command: string | undefined): string {
  const spec = command === undefined ? undefined : findCommand(command);
  if (!spec) return "Try: canfleet --help\n";
  const usage = commandHelp(spec)
    .split("\n")
    .filter((line) => line.startsWith("Usage:"));
  return `${usage.join("\n")}\nTry: canfleet help ${spec.name}\n`;
}
