import type { CommandSpec, OptionSpec } from "./command-spec.ts";
import { COMMAND_GROUPS, COMMANDS } from "./command-table.ts";
import { EXIT_CODE_MEANINGS } from "./exit-codes.ts";
import { valueName } from "./parse.ts";

const WIDTH = 100;

/** `canfleet --help`. */
export function overviewHelp(): string {
  const nameWidth = Math.max(...COMMANDS.map(({ name }) => name.length));
  const groups = Object.entries(COMMAND_GROUPS).flatMap(([group, title]) => [
    "",
    `${title}:`,
    ...COMMANDS.filter((command) => command.group === group).map(
      ({ name, summary }) => `  ${name.padEnd(nameWidth)}  ${summary}`,
    ),
  ]);
  return lines([
    "canfleet: a distributed CAN bridge",
    "",
    "Usage: canfleet COMMAND [ARGUMENT…] [OPTION…]",
    ...groups,
    "",
    "A BUS is edge/bus (through the hub; + allowed), can0 (SocketCAN here), tcp:PORT or",
    "tcp:HOST:PORT (raw link), sim:NAME (simulated), play:FILE (a log); any is every bus of the hub.",
    "",
    "canfleet help COMMAND explains one; canfleet --version [--json] says what this is.",
    "New here? canfleet demo",
  ]);
}

/** `canfleet help NAME`. */
export function commandHelp(spec: CommandSpec): string {
  return lines([
    `canfleet ${spec.name}: ${spec.summary}`,
    "",
    ...spec.synopsis.map((usage, i) => `${i === 0 ? "Usage: " : "       "}canfleet ${spec.name} ${usage}`),
    ...(spec.description ?? []).flatMap((paragraph) => ["", ...wrap(paragraph, WIDTH)]),
    ...section("Arguments:", argumentRows(spec)),
    ...section("Options:", optionRows(spec)),
    "",
    "Examples:",
    ...spec.examples.flatMap(({ line, does }) => [`  ${line}`, `      ${does}`]),
  ]);
}

/** docs/cli.md: the help of every command and the exit codes. */
export function markdownReference(): string {
  const commands = COMMANDS.flatMap((spec) => [`## ${spec.name}`, "", ...fenced(commandHelp(spec)), ""]);
  return lines([
    "# The command line",
    "",
    "Made by `canfleet help --markdown` from the table of commands in `cli/src/table/`: change it there.",
    "",
    ...fenced(overviewHelp()),
    "",
    ...commands,
    "## Exit codes",
    "",
    ...Object.entries(EXIT_CODE_MEANINGS).map(([code, meaning]) => `- ${code}: ${meaning}`),
  ]);
}

function argumentRows(spec: CommandSpec): [string, string][] {
  const seen = new Set<string>();
  return spec.arguments
    .filter(({ name }) => !seen.has(name) && seen.add(name))
    .map(({ name, help, repeat }) => [repeat ? `${name}…` : name, help]);
}

function optionRows(spec: CommandSpec): [string, string][] {
  const rows = Object.entries(spec.options).map(([name, option]): [string, string] => [
    optionName(name, option),
    optionHelp(option),
  ]);
  return [...rows, ["-h, --help", "this text"]];
}

function optionName(name: string, option: OptionSpec): string {
  const letter = option.letter === undefined ? "    " : `-${option.letter}, `;
  return option.kind === "flag" ? `${letter}--${name}` : `${letter}--${name} ${valueName(option)}`;
}

function optionHelp(option: OptionSpec): string {
  const repeated = option.kind === "text" && option.multiple ? "; may be repeated" : "";
  const unit = "unit" in option ? ` ${option.unit}` : "";
  const fallback = "default" in option ? ` (${option.default}${unit})` : "";
  return `${option.help}${repeated}${fallback}`;
}

function section(title: string, rows: [string, string][]): string[] {
  if (rows.length === 0) return [];
  const width = Math.min(30, Math.max(...rows.map(([name]) => name.length)));
  const body = rows.flatMap(([name, help]) => {
    const [first = "", ...rest] = wrap(help, WIDTH - width - 4);
    const indent = " ".repeat(width + 4);
    const head = name.length > width ? [`  ${name}`, `${indent}${first}`] : [`  ${name.padEnd(width)}  ${first}`];
    return [...head, ...rest.map((line) => `${indent}${line}`)];
  });
  return ["", title, ...body];
}

function wrap(text: string, width: number): string[] {
  const result: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      result.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...result, line];
}

function fenced(text: string): string[] {
  return ["```text", text.trimEnd(), "```"];
}

function lines(parts: readonly string[]): string {
  return `${parts.map((line) => line.trimEnd()).join("\n")}\n`;
}
