import type { MapNode, ScalarNode, SourceNode } from "./source-node.ts";

/** Which settings an environment variable sets. Lists (buses, bridges) need a file. */
const VARIABLES: Readonly<Record<string, readonly [section: string, name: string][]>> = {
  CANFLEET_HUB: [
    ["client", "hub"],
    ["edge", "hub"],
  ],
  CANFLEET_BASE: [
    ["client", "base"],
    ["edge", "base"],
    ["hub", "base"],
  ],
  CANFLEET_USER: [
    ["client", "user"],
    ["edge", "user"],
  ],
  CANFLEET_PASSWORD_FILE: [
    ["client", "passwordFile"],
    ["edge", "passwordFile"],
  ],
  CANFLEET_TOKEN_FILE: [
    ["client", "tokenFile"],
    ["edge", "tokenFile"],
  ],
  CANFLEET_NAME: [["edge", "name"]],
  CANFLEET_HUB_LISTEN: [["hub", "listen"]],
  CANFLEET_HUB_HTTP: [["hub", "http"]],
  CANFLEET_HUB_DATA: [["hub", "data"]],
  CANFLEET_HUB_BROKER: [["hub", "broker"]],
  CANFLEET_HUB_INSECURE_LAN: [["hub", "insecureLan"]],
};

/** The settings of the environment, as if they stood in a file. Empty variables count as unset. */
export function environmentSource(env: Readonly<Record<string, string | undefined>>): MapNode {
  const sections = new Map<string, Map<string, ScalarNode>>();
  for (const [variable, targets] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value === undefined || value === "") continue;
    for (const [section, name] of targets) {
      const entries = sections.get(section) ?? new Map<string, ScalarNode>();
      entries.set(name, { kind: "scalar", where: variable, value, text: value });
      sections.set(section, entries);
    }
  }
  const where = "environment";
  const entries = new Map<string, SourceNode>();
  for (const [name, settings] of sections) entries.set(name, { kind: "map", where, entries: settings });
  return { kind: "map", where, entries };
}
