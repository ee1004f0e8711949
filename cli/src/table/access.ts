import { defineCommand } from "../command-spec.ts";
import { JSON_OPTION } from "./common.ts";

const ACCESS_OPTIONS = {
  data: { kind: "text", value: "DIR", help: "the hub's data folder (CANFLEET_HUB_DATA)" },
  role: {
    kind: "choice",
    choices: ["reader", "operator", "admin", "edge"],
    default: "reader",
    help: "what one may do at all; see docs/security.md",
  },
  send: {
    kind: "text",
    value: "EDGE/BUS:IDS",
    multiple: true,
    help: "frames that may be sent there: pi-7/can0:123,200:7F0 or +/+:all",
  },
} as const;

export const USER = defineCommand({
  name: "user",
  group: "access",
  summary: "people and edges that log in at a hub with a password",
  synopsis: ["add NAME [--role ROLE] [--send EDGE/BUS:IDS]…", "ls [--json]", "rm NAME", "passwd NAME"],
  arguments: [
    { name: "ACTION", help: "add, ls, rm or passwd" },
    { name: "NAME", help: "whom; for the role edge the name of the edge", optional: true },
  ],
  options: {
    ...ACCESS_OPTIONS,
    "password-file": { kind: "text", value: "FILE", help: "the password is its first line; mode 600" },
    json: JSON_OPTION,
  },
  description: [
    "The password is asked for without being shown, or read from --password-file or standard input. A hub that runs takes changes over within a second, and disconnects whom they concern.",
  ],
  examples: [
    {
      line: "canfleet user add alice --role operator --send pi-7/can0:123 --data hub-data",
      does: "asks for her password",
    },
    { line: "canfleet user add pi-7 --role edge --data hub-data < pi-7.password", does: "a password for an edge" },
  ],
});

export const TOKEN = defineCommand({
  name: "token",
  group: "access",
  summary: "tokens with which programs log in at a hub",
  synopsis: ["add NAME [--role ROLE] [--send EDGE/BUS:IDS]…", "ls [--json]", "rm NAME"],
  arguments: [
    { name: "ACTION", help: "add, ls or rm" },
    { name: "NAME", help: "which program", optional: true },
  ],
  options: { ...ACCESS_OPTIONS, json: JSON_OPTION },
  description: ["The token is printed once, when it is made; the hub keeps only what it needs to know it again."],
  examples: [
    { line: "(umask 077; canfleet token add grafana --data hub-data > grafana.token)", does: "a token that may read" },
  ],
});
