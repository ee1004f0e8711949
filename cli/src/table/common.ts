import type { ArgumentSpec } from "../command-spec.ts";

/** The hub that `edge/bus` names are looked up at. */
export const CLIENT_OPTIONS = {
  hub: {
    kind: "text",
    value: "URL",
    multiple: true,
    help: "hub for edge/bus names; of several, one that answers (CANFLEET_HUB; mqtt://127.0.0.1:1883)",
  },
  ca: { kind: "text", value: "FILE", help: "authority to trust for mqtts://, wss:// and tls: (CANFLEET_CA; Node's)" },
  base: { kind: "text", value: "NAME", help: "first level of all topics (CANFLEET_BASE; canfleet)" },
} as const;

/** For commands that open buses: raw links among them. */
export const BUS_OPTIONS = {
  ...CLIENT_OPTIONS,
  "link-token-file": {
    kind: "text",
    value: "FILE",
    help: "token of raw links, its first line; mode 600 (CANFLEET_LINK_TOKEN_FILE)",
  },
} as const;

export const JSON_OPTION = { kind: "flag", help: "one JSON object a line" } as const;

const BUS_HELP =
  "edge/bus, can0, tcp:PORT, tcp:HOST:PORT, tls: as tcp:, sim:NAME, play:FILE; any is +/+; filters behind commas";

/** A bus, wherever it is. */
export function busArgument(more: Pick<ArgumentSpec, "repeat"> = {}): ArgumentSpec {
  return { name: "BUS", help: BUS_HELP, ...more };
}
