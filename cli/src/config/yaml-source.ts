import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from "yaml";
import type { Problem, SourceNode } from "./source-node.ts";

/** Deeper than any setting; an alias that contains itself ends here. */
const MAX_DEPTH = 16;
/** More than any fleet needs; aliases of aliases of aliases end here. */
const MAX_NODES = 10_000;

/** What a file holds: a tree with line numbers, or every reason why it is none. */
export type YamlResult = { root: SourceNode | undefined } | { problems: Problem[] };

/**
 * Reads YAML 1.2.
 *
 * @param name how the file is called in messages
 */
export function readYaml(text: string, name: string): YamlResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => ({
        where: `${name}:${lines.linePos(error.pos[0]).line}`,
        key: "",
        wanted: `YAML: ${error.message}`,
      })),
    };
  }
  const converter = new Converter(document, lines, name);
  const root = document.contents === null ? undefined : converter.node(document.contents, 0);
  return converter.problems.length > 0 ? { problems: converter.problems } : { root };
}

/** Turns the library's nodes into ours, so that nothing else knows the library. */
class Converter {
  readonly problems: Problem[] = [];
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #name: string;
  #nodes = 0;

  constructor(document: Document, lines: LineCounter, name: string) {
    this.#document = document;
    this.#lines = lines;
    this.#name = name;
  }

  node(node: unknown, depth: number, fallbackWhere = `${this.#name}:1`): SourceNode | undefined {
    const where = this.#where(node) ?? fallbackWhere;
    if (depth > MAX_DEPTH) {
      this.problems.push({ where, key: "", wanted: `no more than ${MAX_DEPTH} levels` });
      return undefined;
    }
    if (this.#nodes++ >= MAX_NODES) {
      if (this.#nodes === MAX_NODES + 1)
        this.problems.push({ where, key: "", wanted: `no more than ${MAX_NODES} values` });
      return undefined;
    }
    if (isAlias(node)) return this.node(node.resolve(this.#document), depth + 1, where);
    if (isMap(node)) {
      const entries = new Map<string, SourceNode>();
      for (const { key, value } of node.items) {
        const child = this.node(value, depth + 1, this.#where(key) ?? where);
        if (child) entries.set(isScalar(key) ? String(key.value) : "?", child);
      }
      return { kind: "map", where, entries };
    }
    if (isSeq(node)) {
      return { kind: "list", where, items: node.items.flatMap((item) => this.node(item, depth + 1, where) ?? []) };
    }
    return { kind: "scalar", where, ...scalarOf(node) };
  }

  #where(node: unknown): string | undefined {
    const offset = (node as Node | null | undefined)?.range?.[0];
    return offset === undefined ? undefined : `${this.#name}:${this.#lines.linePos(offset).line}`;
  }
}

function scalarOf(node: unknown): { value: string | number | boolean | null; text: string } {
  if (!isScalar(node)) return { value: null, text: "" };
  const { value, source } = node;
  if (typeof value === "number" || typeof value === "boolean") return { value, text: source ?? String(value) };
  if (typeof value === "string") return { value, text: value };
  return { value: null, text: "" };
}
