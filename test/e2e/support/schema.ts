import { readFileSync } from "node:fs";
import { parse } from "cddl";
import type { CborNode } from "./cbor-tree.ts";

/** The part of the `cddl` package's syntax tree that docs/wire-mqtt.cddl uses. */
type Type =
  | string
  | { Type: "literal"; Value: number }
  | { Type: "group"; Value: string }
  | { Type: "group"; Properties: Property[] }
  | { Type: "array"; Values: { Type: Type | Type[] }[] }
  | { Type: "tag"; Value: { TypePart: string } }
  | { Type: "bstr"; Operator: { Type: string; Value: { Value: number } } };
interface Property {
  Name: string;
  /** `m` is Infinity for "any number". */
  Occurrence: { n: number; m: number };
  Type: Type | Type[];
}
interface Rule {
  Type: "variable" | "group";
  Name: string;
  PropertyType?: Type[];
  Properties?: Property[];
}

/**
 * A CDDL schema (RFC 8610) and a check of CBOR against it.
 *
 * The `cddl` package parses the schema (so its syntax is right) but checks JSON only; this knows maps, arrays, tags,
 * choices, `.size` and the types that our schema uses, and refuses a schema with anything else.
 */
export class Schema {
  readonly #rules = new Map<string, Rule>();
  /** Tag numbers by rule. From the text: the package reads `#6.70` as the number 6.7. */
  readonly #tags = new Map<string, bigint>();

  constructor(file: string) {
    for (const rule of parse(file) as unknown as Rule[]) this.#rules.set(rule.Name, rule);
    for (const [, name, tag] of readFileSync(file, "utf8").matchAll(/([\w-]+) = #6\.(\d+)\(bstr\)/g)) {
      this.#tags.set(name!, BigInt(tag!));
    }
  }

  /** What is wrong with an item as an instance of a rule; undefined when it is one. */
  mistake(node: CborNode, ruleName: string): string | undefined {
    const rule = this.#rules.get(ruleName);
    if (!rule) throw new Error(`the schema has no rule ${ruleName}`);
    if (rule.Properties) return this.#mapMistake(node, rule.Properties, ruleName);
    return this.#choiceMistake(node, rule.PropertyType ?? [], ruleName);
  }

  #choiceMistake(node: CborNode, choices: Type | Type[], where: string): string | undefined {
    const mistakes: string[] = [];
    for (const choice of Array.isArray(choices) ? choices : [choices]) {
      const mistake = this.#typeMistake(node, choice, where);
      if (mistake === undefined) return undefined;
      mistakes.push(mistake);
    }
    return mistakes.join("; ");
  }

  #typeMistake(node: CborNode, type: Type, where: string): string | undefined {
    if (typeof type === "string") return node.kind === type ? undefined : `${where}: ${node.kind} is no ${type}`;
    switch (type.Type) {
      case "literal":
        return node.kind === "uint" && node.value === BigInt(type.Value) ? undefined : `${where}: not ${type.Value}`;
      case "group":
        return "Value" in type ? this.mistake(node, type.Value) : this.#mapMistake(node, type.Properties, where);
      case "array":
        return this.#arrayMistake(node, type.Values[0]!.Type, where);
      case "tag":
        return this.#tagMistake(node, where);
      case "bstr":
        if (type.Operator.Type !== "size") throw new Error(`${where}: .${type.Operator.Type} is not known here`);
        return node.kind === "bstr" && node.value.length === type.Operator.Value.Value
          ? undefined
          : `${where}: not a byte string of ${type.Operator.Value.Value} bytes`;
    }
  }

  #tagMistake(node: CborNode, ruleName: string): string | undefined {
    const wanted = this.#tags.get(ruleName);
    if (wanted === undefined) throw new Error(`${ruleName}: a tag outside a rule of its own is not known here`);
    if (node.kind !== "tag") return `${ruleName}: ${node.kind} is no tag ${wanted}`;
    if (node.tag !== wanted) return `${ruleName}: tag ${node.tag}, not ${wanted}`;
    return node.content.kind === "bstr" ? undefined : `${ruleName}: the tag holds ${node.content.kind}`;
  }

  #arrayMistake(node: CborNode, element: Type | Type[], where: string): string | undefined {
    if (node.kind !== "array") return `${where}: ${node.kind} is no array`;
    for (const item of node.items) {
      const mistake = this.#choiceMistake(item, element, `${where}[]`);
      if (mistake !== undefined) return mistake;
    }
    return undefined;
  }

  #mapMistake(node: CborNode, properties: Property[], where: string): string | undefined {
    if (node.kind !== "map") return `${where}: ${node.kind} is no map`;
    const open = properties.find((property) => property.Occurrence.m === Infinity);
    const seen = new Set<string>();
    for (const [key, value] of node.entries) {
      if (key.kind !== "tstr") return `${where}: a key that is ${key.kind}`;
      const property =
        properties.find(({ Name, Occurrence }) => Name === key.value && Number.isFinite(Occurrence.m)) ?? open;
      if (!property) return `${where}: no key "${key.value}" in the schema`;
      if (seen.has(key.value)) return `${where}: key "${key.value}" twice`;
      seen.add(key.value);
      const mistake = this.#choiceMistake(value, property.Type, `${where}.${key.value}`);
      if (mistake !== undefined) return mistake;
    }
    const missing = properties.find(({ Name, Occurrence }) => Occurrence.n > 0 && !seen.has(Name));
    return missing && `${where}: key "${missing.Name}" is missing`;
  }
}
