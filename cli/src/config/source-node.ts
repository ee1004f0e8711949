/** A value of a configuration source, with the place to name when it is wrong. */
export type SourceNode = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  kind: "scalar";
  /** `canfleet.yaml:3`, or the environment variable. */
  where: string;
  value: string | number | boolean | null;
  /** As it was written: `0123` and `1e3` are numbers to YAML, and ids to us. */
  text: string;
}

export interface ListNode {
  kind: "list";
  where: string;
  items: readonly SourceNode[];
}

export interface MapNode {
  kind: "map";
  where: string;
  entries: ReadonlyMap<string, SourceNode>;
}

/** A setting that is wrong. */
export interface Problem {
  where: string;
  /** `edge.buses[0].channel`; empty for the source as a whole. */
  key: string;
  /** What was written; undefined where it cannot be shown in a line. */
  value?: string;
  wanted: string;
}

/** What was written, for an error message. */
export function describeNode(node: SourceNode): string {
  if (node.kind === "scalar") return node.value === null ? "nothing" : JSON.stringify(node.value);
  return node.kind === "list" ? "a list" : "a group of settings";
}
