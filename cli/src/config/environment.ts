import type { MapNode, SourceNode } from "./source-node.ts";

/** Which settings an environment variable sets. Lists (buses, bridges) need a file. */
const VARIABLES: Readonly<Record<string, readonly [section: string, path: string][]>> = {
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
  CANFLEET_CA: [
    ["client", "tls.ca"],
    ["edge", "tls.ca"],
  ],
  CANFLEET_CERT: [
    ["client", "tls.cert"],
    ["edge", "tls.cert"],
  ],
  CANFLEET_KEY: [
    ["client", "tls.key"],
    ["edge", "tls.key"],
  ],
  CANFLEET_LOG_FORMAT: [
    ["hub", "log.format"],
    ["edge", "log.format"],
  ],
  CANFLEET_LINK_TOKEN_FILE: [
    ["client", "linkTokenFile"],
    ["edge", "linkTokenFile"],
  ],
  CANFLEET_NAME: [["edge", "name"]],
  CANFLEET_HUB_LISTEN: [["hub", "listen"]],
  CANFLEET_HUB_HTTP: [["hub", "http"]],
  CANFLEET_HUB_BROKER: [["hub", "broker"]],
  CANFLEET_HUB_DATA: [["hub", "data"]],
  CANFLEET_HUB_INSECURE_LAN: [["hub", "insecureLan"]],
};

/** The settings of the environment, as if they stood in a file. Empty variables count as unset. */
export function environmentSource(env: Readonly<Record<string, string | undefined>>): MapNode {
  const root = emptyMap();
  for (const [variable, targets] of Object.entries(VARIABLES)) {
    const value = env[variable];
    if (value === undefined || value === "") continue;
    for (const [section, path] of targets) {
      const names = path.split(".");
      const name = names.pop()!;
      const group = [section, ...names].reduce(groupIn, root);
      group.entries.set(name, { kind: "scalar", where: variable, value, text: value });
    }
  }
  return root;
}

interface OwnMap extends MapNode {
  entries: Map<string, SourceNode>;
}

function emptyMap(): OwnMap {
  return { kind: "map", where: "environment", entries: new Map<string, SourceNode>() };
}

function groupIn(parent: OwnMap, name: string): OwnMap {
  // Nothing but groups of ours stands where a group belongs.
  const known = parent.entries.get(name) as OwnMap | undefined;
  const group = known ?? emptyMap();
  parent.entries.set(name, group);
  return group;
}
