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

export const ENROLL = defineCommand({
  name: "enroll",
  group: "access",
  summary: "give an edge its key and certificate",
  synopsis: ["NAME [--data DIR] [--minutes N] [--url URL]…", "[--token-file FILE] [--hub URL] [--dir DIR] [--replace]"],
  arguments: [
    { name: "NAME", help: "on the hub: print a token for the edge of this name; on the edge: none", optional: true },
  ],
  options: {
    data: ACCESS_OPTIONS.data,
    config: { kind: "text", letter: "c", value: "FILE", help: "hub: read this file instead of DIR/canfleet.yaml" },
    minutes: {
      kind: "integer",
      value: "N",
      min: 1,
      max: 10_080,
      unit: "min",
      default: 60,
      help: "hub: how long the token may be used",
    },
    url: {
      kind: "text",
      value: "URL",
      multiple: true,
      help: "hub: where the edge reaches its HTTPS, https://HOST:PORT (hub.tls.https, by the names in its certificate)",
    },
    "token-file": {
      kind: "text",
      value: "FILE",
      help: "edge: the token is its first line, mode 600 (CANFLEET_ENROLL_TOKEN; standard input)",
    },
    token: { kind: "text", value: "TOKEN", help: "edge: the token; others on this machine see it here" },
    hub: { kind: "text", value: "URL", help: "edge: the hub, https://HOST:PORT (what the token says)" },
    dir: {
      kind: "text",
      value: "DIR",
      default: "edge-data",
      help: "edge: folder for edge.pem, ca.crt and canfleet.yaml",
    },
    replace: { kind: "flag", help: "edge: make a new key and certificate although there is one" },
  },
  description: [
    "On the hub, canfleet enroll NAME prints a token that lets one edge fetch a certificate for this name, once. On the machine of the edge, canfleet enroll makes a key, which does not leave it, checks by the token that the hub is the right one before it sends anything, and fetches the certificate. Used for a name that has one, the token replaces it.",
    "See docs/enrolment.md.",
  ],
  examples: [
    { line: "canfleet enroll pi-7 --data hub-data", does: "on the hub: a token for pi-7, good for an hour" },
    {
      line: "canfleet enroll",
      does: "on pi-7: asks for the token; then canfleet edge can0 -c edge-data/canfleet.yaml",
    },
  ],
});

export const KEY = defineCommand({
  name: "key",
  group: "access",
  summary: "certificates of edges and of the hub: list, revoke, renew",
  synopsis: ["ls [--json]", "rm NAME", "rotate --server [--name HOST]…", "rotate --config FILE"],
  arguments: [
    { name: "ACTION", help: "ls, rm or rotate" },
    { name: "NAME", help: "which edge is revoked", optional: true },
  ],
  options: {
    data: ACCESS_OPTIONS.data,
    server: { kind: "flag", help: "rotate: the hub's key and certificate" },
    name: { kind: "text", value: "HOST", multiple: true, help: "rotate --server: one more host name or address" },
    config: { kind: "text", letter: "c", value: "FILE", help: "rotate: settings of the edge whose key it is" },
    json: JSON_OPTION,
  },
  description: [
    "A hub that runs takes changes over within a second: an edge that was revoked is disconnected, and new connections see the hub's new certificate. Edges and hubs renew their certificates by themselves; rotate does it now.",
  ],
  examples: [
    { line: "canfleet key ls --data hub-data", does: "what there is, and until when" },
    { line: "canfleet key rm pi-7 --data hub-data", does: "puts pi-7 out, for good" },
    { line: "canfleet key rotate -c edge-data/canfleet.yaml", does: "on pi-7: a new key and certificate now" },
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
