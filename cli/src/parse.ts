import { parseArgs, type ParseArgsConfig } from "node:util";
import type { Arguments, CommandSpec, NumberSpec, OptionSpec, OptionSpecs } from "./command-spec.ts";
import { nearest } from "./nearest.ts";
import { UsageError } from "./usage-error.ts";

interface OptionToken {
  /** Long name, or the letter where it is not one of the command's. */
  name: string;
  /** As typed: `-n` or `--count`. */
  rawName: string;
  value: string | undefined;
  inlineValue: boolean | undefined;
}

type RawValue = string | number | boolean | string[];

/**
 * Reads a command's arguments.
 *
 * @throws UsageError naming the argument, and the nearest option where one was misspelt
 */
export function parseCommand<C extends CommandSpec>(spec: C, args: readonly string[]): Arguments<C> {
  const fail = (message: string): never => {
    throw new UsageError(message, spec.name);
  };
  const { tokens } = parseArgs({
    args: [...args],
    options: nodeOptions(spec.options),
    allowPositionals: true,
    // Not strict: our own words for what is wrong, with suggestions, instead of Node's.
    strict: false,
    tokens: true,
  });
  const values = new Map<string, RawValue>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    else if (token.kind === "option") takeOption(spec, token, values, fail);
  }
  checkPositionals(spec, positionals, fail);
  return { options: withDefaults(spec.options, values) as Arguments<C>["options"], positionals };
}

function nodeOptions(options: OptionSpecs): NonNullable<ParseArgsConfig["options"]> {
  const result: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, option] of Object.entries(options)) {
    const type = option.kind === "flag" ? "boolean" : "string";
    result[name] = option.letter === undefined ? { type } : { type, short: option.letter };
  }
  return result;
}

function takeOption(
  spec: CommandSpec,
  token: OptionToken,
  values: Map<string, RawValue>,
  fail: (message: string) => never,
): void {
  const option = Object.hasOwn(spec.options, token.name) ? spec.options[token.name] : undefined;
  if (!option) return fail(unknownOption(spec, token.rawName));
  if (option.kind === "flag") {
    if (token.value !== undefined) fail(`${token.rawName} takes no value`);
    values.set(token.name, true);
    return;
  }
  const { value } = token;
  const looksLikeOption = token.inlineValue === false && /^-[^\d]/.test(value ?? "");
  if (value === undefined || looksLikeOption) return fail(`${token.rawName} needs a value: ${valueName(option)}`);
  const read = readValue(option, token.rawName, value, fail);
  if (option.kind === "text" && option.multiple) {
    const before = values.get(token.name);
    values.set(token.name, [...(Array.isArray(before) ? before : []), value]);
  } else values.set(token.name, read);
}

function readValue(
  option: Exclude<OptionSpec, { kind: "flag" }>,
  rawName: string,
  value: string,
  fail: (message: string) => never,
): string | number {
  if (option.kind === "text") return value;
  if (option.kind === "choice") {
    if (option.choices.includes(value)) return value;
    return fail(`${rawName} ${value}: expected one of ${option.choices.join(", ")}`);
  }
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e\d+)?$/i.test(value) ? Number(value) : NaN;
  const wrongKind = option.kind === "integer" && !Number.isSafeInteger(number);
  if (wrongKind || !(number >= option.min && number <= option.max)) {
    return fail(`${rawName} ${value}: expected ${describeRange(option)}`);
  }
  return number;
}

function describeRange({ kind, min, max, unit }: NumberSpec): string {
  const what = kind === "integer" ? "a whole number" : "a number";
  // Bounds that only guard the arithmetic say nothing to people.
  const range = max >= 1e9 ? `of at least ${min}` : `from ${min} to ${max}`;
  return unit === undefined ? `${what} ${range}` : `${what} ${range} (${unit})`;
}

/** How help and errors name an option's value. */
export function valueName(option: Exclude<OptionSpec, { kind: "flag" }>): string {
  return option.kind === "choice" ? option.choices.join("|") : option.value;
}

function unknownOption(spec: CommandSpec, rawName: string): string {
  const known = Object.keys(spec.options).map((name) => `--${name}`);
  const meant = nearest(rawName, [...known, "--help"]);
  return `${spec.name} has no option ${rawName}${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

function checkPositionals(spec: CommandSpec, given: readonly string[], fail: (message: string) => never): void {
  const missing = spec.arguments[given.length];
  if (missing && !missing.optional) fail(`${spec.name} needs ${missing.name}: ${missing.help}`);
  const repeats = spec.arguments.at(-1)?.repeat ?? false;
  const extra = given[spec.arguments.length];
  if (!repeats && extra !== undefined) fail(`${spec.name} does not take a further argument "${extra}"`);
}

function withDefaults(specs: OptionSpecs, values: Map<string, RawValue>): Record<string, RawValue | undefined> {
  const result: Record<string, RawValue | undefined> = {};
  for (const [name, option] of Object.entries(specs)) {
    const value = values.get(name);
    if (value !== undefined) result[name] = value;
    else if (option.kind === "flag") result[name] = false;
    else if (option.kind === "text" && option.multiple) result[name] = [];
    else result[name] = option.default;
  }
  return result;
}
