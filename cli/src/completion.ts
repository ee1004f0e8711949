import type { CommandSpec } from "./command-spec.ts";
import { COMMANDS } from "./command-table.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A completion script, complete in itself: no program runs while the user types. */
export function completionScript(shell: Shell): string {
  if (shell === "bash") return bashScript();
  return shell === "zsh" ? zshScript() : fishScript();
}

function optionWords({ options }: CommandSpec): string[] {
  const letters = Object.values(options).flatMap(({ letter }) => (letter === undefined ? [] : [`-${letter}`]));
  return [...letters, ...Object.keys(options).map((name) => `--${name}`), "--help"];
}

/** Words for the argument that the cursor is on, where they are known beforehand. */
function argumentWords({ name }: CommandSpec): string[] {
  if (name === "completion") return [...SHELLS];
  if (name === "help") return COMMANDS.map((command) => command.name);
  return [];
}

/** `-t|--time` and its words, for options with a choice. */
function choiceCases({ options }: CommandSpec): { patterns: string[]; words: readonly string[] }[] {
  return Object.entries(options).flatMap(([name, option]) => {
    if (option.kind !== "choice") return [];
    const long = `--${name}`;
    return [{ patterns: option.letter === undefined ? [long] : [`-${option.letter}`, long], words: option.choices }];
  });
}

function bashScript(): string {
  const names = COMMANDS.map(({ name }) => name).join(" ");
  const cases = COMMANDS.flatMap((spec) => [
    `    ${spec.name})`,
    ...choiceLines(spec),
    `      words="${[...argumentWords(spec), ...optionWords(spec)].join(" ")}" ;;`,
  ]);
  return [
    "# bash completion for canfleet",
    "_canfleet() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""',
    "  COMPREPLY=()",
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${names} --help --version" -- "$current"))`,
    "    return",
    "  fi",
    '  case "${COMP_WORDS[1]}" in',
    ...cases,
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    "}",
    "complete -o default -F _canfleet canfleet",
    "",
  ].join("\n");
}

function choiceLines(spec: CommandSpec): string[] {
  const cases = choiceCases(spec);
  if (cases.length === 0) return [];
  return [
    '      case "$previous" in',
    ...cases.map(
      ({ patterns, words }) =>
        `        ${patterns.join("|")}) COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$current")); return ;;`,
    ),
    "      esac",
  ];
}

function zshScript(): string {
  const commands = COMMANDS.map(({ name, summary }) => `    ${zshQuote(`${name}:${summary}`)}`);
  const cases = COMMANDS.map((spec) => {
    const options = Object.entries(spec.options).map(([name, option]) => zshOption(name, option.letter, option));
    const words = argumentWords(spec);
    const rest = words.length > 0 ? zshQuote(`*:argument:(${words.join(" ")})`) : zshQuote("*:argument:_default");
    return `    ${spec.name}) _arguments ${[...options, zshQuote("--help[this text]"), rest].join(" ")} ;;`;
  });
  return [
    "#compdef canfleet",
    "_canfleet() {",
    "  local -a commands=(",
    ...commands,
    "  )",
    "  if (( CURRENT == 2 )); then",
    "    _describe command commands",
    "    return",
    "  fi",
    "  shift words",
    "  (( CURRENT-- ))",
    '  case "$words[1]" in',
    ...cases,
    "  esac",
    "}",
    // Both ways of loading: as an autoloaded file of fpath, and sourced.
    'if [ "$funcstack[1]" = "_canfleet" ]; then _canfleet "$@"; else compdef _canfleet canfleet; fi',
    "",
  ].join("\n");
}

function zshOption(name: string, letter: string | undefined, option: CommandSpec["options"][string]): string {
  const help = option.help.replaceAll("[", "(").replaceAll("]", ")").replaceAll(":", " ");
  const value =
    option.kind === "flag" ? "" : option.kind === "choice" ? `:value:(${option.choices.join(" ")})` : ":value:";
  const long = zshQuote(`--${name}[${help}]${value}`);
  return letter === undefined ? long : `${zshQuote(`-${letter}[${help}]${value}`)} ${long}`;
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishScript(): string {
  const commands = COMMANDS.map(
    ({ name, summary }) => `complete -c canfleet -n __fish_use_subcommand -x -a ${name} -d ${fishQuote(summary)}`,
  );
  const options = COMMANDS.flatMap((spec) => {
    const seen = `-n ${fishQuote(`__fish_seen_subcommand_from ${spec.name}`)}`;
    const words = argumentWords(spec);
    const rows = Object.entries(spec.options).map(([name, option]) => {
      const letter = option.letter === undefined ? "" : ` -s ${option.letter}`;
      const value =
        option.kind === "flag"
          ? ""
          : option.kind === "choice"
            ? ` -x -a ${fishQuote(option.choices.join(" "))}`
            : " -r";
      return `complete -c canfleet ${seen}${letter} -l ${name}${value} -d ${fishQuote(option.help)}`;
    });
    return words.length > 0 ? [...rows, `complete -c canfleet ${seen} -x -a ${fishQuote(words.join(" "))}`] : rows;
  });
  return ["# fish completion for canfleet", ...commands, ...options, ""].join("\n");
}

function fishQuote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
