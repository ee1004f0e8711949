/** One `-x, --long` of a command that is on or off. */
export interface FlagSpec {
  kind: "flag";
  letter?: string;
  help: string;
}

/** An option with free text behind it. What the text must be is checked where it is used. */
export interface TextSpec {
  kind: "text";
  letter?: string;
  /** How the help names the value. */
  value: string;
  /** May be given several times. */
  multiple?: true;
  default?: string;
  help: string;
}

/** An option that takes one of a few words. */
export interface ChoiceSpec {
  kind: "choice";
  letter?: string;
  choices: readonly string[];
  default?: string;
  help: string;
}

/** An option that takes a number, whole for "integer". */
export interface NumberSpec {
  kind: "integer" | "number";
  letter?: string;
  value: string;
  min: number;
  max: number;
  /** Unit for people: ms, s, Hz. */
  unit?: string;
  default?: number;
  help: string;
}

export type OptionSpec = FlagSpec | TextSpec | ChoiceSpec | NumberSpec;

/** Options by long name, without the dashes. */
export interface OptionSpecs {
  readonly [longName: string]: OptionSpec;
}

export interface ArgumentSpec {
  name: string;
  help: string;
  optional?: true;
  /** The last argument may be given several times. */
  repeat?: true;
}

/** One command: all that parsing, help, completion and docs/cli.md are made of. */
export interface CommandSpec {
  name: string;
  group: "run" | "frames" | "look" | "access";
  /** One line, lower case, for the list of commands. */
  summary: string;
  /** Usage lines without `canfleet NAME`. */
  synopsis: readonly string[];
  arguments: readonly ArgumentSpec[];
  options: OptionSpecs;
  /** Paragraphs below the summary. */
  description?: readonly string[];
  /** Lines to copy, with what they do. */
  examples: readonly { line: string; does: string }[];
}

type WithDefault<O, V> = O extends { default: string | number } ? V : V | undefined;

/** What parsing makes of one option. */
export type OptionValue<O extends OptionSpec> = O extends FlagSpec
  ? boolean
  : O extends ChoiceSpec
    ? WithDefault<O, O["choices"][number]>
    : O extends NumberSpec
      ? WithDefault<O, number>
      : O extends { multiple: true }
        ? readonly string[]
        : WithDefault<O, string>;

/** A command line, read and checked against its command. */
export interface Arguments<C extends CommandSpec> {
  readonly options: { readonly [K in keyof C["options"]]: OptionValue<C["options"][K]> };
  readonly positionals: readonly string[];
}

/** Keeps the literal types of a command, so that `Arguments` knows each option. */
export function defineCommand<const C extends CommandSpec>(spec: C): C {
  return spec;
}
