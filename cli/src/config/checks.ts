import { parseFilters } from "@canfleet/sdk";
import { HOST_PORT_WANTED, parseHostPort, type HostPort } from "../address.ts";
import { nearest } from "../nearest.ts";
import { describeNode, type Problem, type SourceNode } from "./source-node.ts";

/** Reads one setting; null after it has reported what is wrong. */
export type Check<T> = (node: SourceNode, key: string, problems: Problem[]) => T | null;

function wrong(node: SourceNode, key: string, wanted: string, problems: Problem[]): null {
  problems.push({ where: node.where, key, value: describeNode(node), wanted });
  return null;
}

/** Text that `read` makes something of; undefined or a RangeError from it means that it is wrong. */
export function parsed<T>(read: (text: string) => T | undefined, wanted: string): Check<T> {
  return (node, key, problems) => {
    if (node.kind !== "scalar" || node.value === null || typeof node.value === "boolean") {
      return wrong(node, key, wanted, problems);
    }
    try {
      return read(node.text) ?? wrong(node, key, wanted, problems);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return wrong(node, key, error.message, problems);
    }
  };
}

/** Text that passes the test. */
export function text(test: (value: string) => boolean, wanted: string): Check<string> {
  return parsed((value) => (test(value) ? value : undefined), wanted);
}

/** One of a few words. */
export function oneOf<const W extends string>(...words: readonly W[]): Check<W> {
  return parsed((value) => words.find((word) => word === value), words.join(" or "));
}

/** A number within bounds, both included. */
export function number(min: number, max: number, unit: string): Check<number> {
  const read = (value: string): number | undefined => {
    const result = value.trim() === "" ? NaN : Number(value);
    return result >= min && result <= max ? result : undefined;
  };
  return parsed(read, `a number from ${min} to ${max} (${unit})`);
}

/** A whole number within bounds, both included. */
export function whole(min: number, max: number, what: string): Check<number> {
  const read = (value: string): number | undefined =>
    /^\d+$/.test(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined;
  return parsed(read, `a whole number from ${min} to ${max} (${what})`);
}

/** true or false; from the environment also 1 and 0. */
export const flag: Check<boolean> = (node, key, problems) => {
  const value = node.kind === "scalar" ? node.text.toLowerCase() : "";
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  return wrong(node, key, "true or false", problems);
};

export const hostPort: Check<HostPort> = parsed(parseHostPort, HOST_PORT_WANTED);

/** candump's filters, as one text or a list of them; checked, and given as one text. */
export const filters: Check<string> = (node, key, problems) => {
  const one = text((value) => parseFilters(value).length > 0, "filters such as 123:7FF,400~7F0");
  if (node.kind !== "list") return one(node, key, problems);
  return node.items.flatMap((item, i) => one(item, `${key}[${i}]`, problems) ?? []).join(",");
};

/** A list; wrong items are left out, so that all of them are reported. */
export function listOf<T>(check: Check<T>): Check<T[]> {
  return (node, key, problems) => {
    if (node.kind !== "list") return wrong(node, key, "a list (lines that begin with -)", problems);
    return node.items.flatMap((item, i) => {
      const value = check(item, `${key}[${i}]`, problems);
      return value === null ? [] : [value];
    });
  };
}

/** What a group of settings is read into: each one may be absent. */
export type Group<C> = { [K in keyof C]?: C[K] extends Check<infer T> ? T : never };

/** A group of settings with these names. */
export function group<C extends { [name: string]: Check<unknown> }>(checks: C): Check<Group<C>> {
  const names = Object.keys(checks);
  return (node, key, problems) => {
    // An empty group ("edge:" and nothing below it) is what a commented-out example leaves behind.
    if (node.kind === "scalar" && node.value === null) return {};
    if (node.kind !== "map") return wrong(node, key, `settings: ${names.join(", ")}`, problems);
    const result: Record<string, unknown> = {};
    for (const [name, child] of node.entries) {
      const path = key === "" ? name : `${key}.${name}`;
      const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
      if (check) {
        const value = check(child, path, problems);
        if (value !== null) result[name] = value;
      } else problems.push({ where: child.where, key: path, wanted: unknownName(name, names) });
    }
    return result as Group<C>;
  };
}

/** A group of settings, some of which must be there. */
export type GroupWith<C, R extends keyof C> = Group<C> & Required<Pick<Group<C>, R>>;

/** A group in which some settings must be there. */
export function groupWith<C extends { [name: string]: Check<unknown> }, R extends keyof C & string>(
  checks: C,
  ...required: readonly R[]
): Check<GroupWith<C, R>> {
  const check = group(checks);
  return (node, key, problems) => {
    const result = check(node, key, problems);
    if (result === null) return null;
    const missing = required.filter((name) => result[name] === undefined);
    if (missing.length === 0) return result as GroupWith<C, R>;
    // What is there but wrong was reported already; an unknown name may be the missing one, misspelt.
    const absent = missing.filter((name) => node.kind !== "map" || !node.entries.has(name));
    const misspelt = problems.some((problem) => absent.some((name) => problem.wanted.includes(`mean ${name}?`)));
    if (absent.length > 0 && !misspelt)
      problems.push({ where: node.where, key, wanted: `${absent.join(" and ")} in it` });
    return null;
  };
}

function unknownName(name: string, names: readonly string[]): string {
  const meant = nearest(name, names);
  return meant === undefined ? `one of ${names.join(", ")}` : `did you mean ${meant}?`;
}
