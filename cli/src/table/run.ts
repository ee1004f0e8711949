import { defineCommand } from "../command-spec.ts";
import { BUS_OPTIONS, busArgument, CLIENT_OPTIONS } from "./common.ts";

export const DEMO = defineCommand({
  name: "demo",
  group: "run",
  summary: "a hub and two simulated edges, live frames in the terminal",
  synopsis: ["[--listen HOST:PORT] [--http HOST:PORT]"],
  arguments: [],
  options: {
    listen: { kind: "text", value: "HOST:PORT", help: "where MQTT clients connect (127.0.0.1:1883)" },
    http: { kind: "text", value: "HOST:PORT", help: "where the page is (127.0.0.1:8080)" },
    quiet: { kind: "flag", letter: "q", help: "no live frames" },
  },
  description: ["Needs no CAN hardware and nothing else installed. Ends with Ctrl-C."],
  examples: [{ line: "canfleet demo", does: "then, in another terminal: canfleet dump boat/can0" }],
});

export const HUB = defineCommand({
  name: "hub",
  group: "run",
  summary: "the broker that edges and clients meet at, with a page",
  synopsis: [
    "[--listen HOST:PORT] [--http HOST:PORT] [--data DIR] [--broker URL]… [--upstream URL]…",
    "init [DIR] [--name HOST]… [--user NAME] [--password-file FILE]",
  ],
  arguments: [
    { name: "init", help: "make the folder of a new hub, and end", optional: true },
    { name: "DIR", help: "which folder (--data; hub-data)", optional: true },
  ],
  options: {
    listen: { kind: "text", value: "HOST:PORT", help: "where MQTT clients connect (127.0.0.1:1883)" },
    http: {
      kind: "text",
      value: "HOST:PORT",
      help: "page, /mqtt, /api, /healthz, /readyz, /metrics; off: none (127.0.0.1:8080)",
    },
    broker: {
      kind: "text",
      value: "URL",
      multiple: true,
      help: "no broker of its own: page and fleet view of this one; several are nodes of one broker",
    },
    upstream: {
      kind: "text",
      value: "URL",
      multiple: true,
      help: "hub above, whose subscribers see these edges too; of several, one that answers (docs/scaling.md)",
    },
    base: CLIENT_OPTIONS.base,
    data: {
      kind: "text",
      value: "DIR",
      help: "folder: its canfleet.yaml is read; with access.json or edges.json everybody has to say who they are, with server.crt, server.key and ca.crt there is TLS on 8883 and 8443 (CANFLEET_HUB_DATA)",
    },
    "insecure-lan": { kind: "flag", help: "listen beyond this machine without authentication, or without encryption" },
    "log-format": {
      kind: "choice",
      choices: ["text", "json"],
      help: "how to write the log: for people, or one JSON object a line (CANFLEET_LOG_FORMAT; text)",
    },
    name: {
      kind: "text",
      value: "HOST",
      multiple: true,
      help: "init: one more host name or address for its certificate",
    },
    user: { kind: "text", value: "NAME", help: "init: the first operator (operator)" },
    "password-file": {
      kind: "text",
      value: "FILE",
      help: "init: the operator's password is its first line, mode 600 (one is made and printed once)",
    },
    config: { kind: "text", letter: "c", value: "FILE", help: "read this file instead of the usual ones" },
  },
  description: [
    "Listens on this machine only. Any other address is refused (exit 78) unless somebody is in access.json of --data (canfleet user add), or --insecure-lan says that everybody on that network may read and send. With both, passwords of other machines are taken, and cross the network in plain text. Over TLS they are always taken.",
    "canfleet hub init makes an authority, a certificate for all names and addresses of this machine, an operator and a canfleet.yaml that listens with TLS for everybody and without for this machine; it overwrites nothing.",
  ],
  examples: [
    { line: "canfleet hub init", does: "then: canfleet hub --data hub-data" },
    { line: "canfleet hub", does: "MQTT on 127.0.0.1:1883, page on http://127.0.0.1:8080" },
    { line: "canfleet hub --listen 0.0.0.0:1883 --insecure-lan", does: "for a closed lab network" },
    { line: "canfleet hub --data hub-data", does: "lets in only who is in hub-data/access.json" },
  ],
});

export const EDGE = defineCommand({
  name: "edge",
  group: "run",
  summary: "the relay beside the CAN bus: to a hub, a host, or both",
  synopsis: ["[CHANNEL [HOST PORT]] [--hub URL]… [--name NAME] [--bus CHANNEL]… [--send WHO]"],
  arguments: [
    { name: "CHANNEL", help: "CAN interface such as can0, sim:NAME or play:FILE", optional: true },
    { name: "HOST", help: "host with a TCPBus to dial (raw link); tls:HOST: inside TLS", optional: true },
    { name: "PORT", help: "its port", optional: true },
  ],
  options: {
    hub: {
      kind: "text",
      value: "URL",
      multiple: true,
      help: "hub to publish to; of several, in order of preference, one that answers (CANFLEET_HUB); without it and HOST: mqtt://127.0.0.1:1883",
    },
    ca: CLIENT_OPTIONS.ca,
    cert: { kind: "text", value: "FILE", help: "certificate to show at mqtts://, wss:// and tls: (CANFLEET_CERT)" },
    key: { kind: "text", value: "FILE", help: "private key of --cert (CANFLEET_KEY)" },
    "link-token-file": BUS_OPTIONS["link-token-file"],
    base: CLIENT_OPTIONS.base,
    name: { kind: "text", value: "NAME", help: "name of this edge (the machine's host name)" },
    bus: {
      kind: "text",
      letter: "b",
      value: "CHANNEL[=NAME]",
      multiple: true,
      help: "one more bus, under another name if given",
    },
    send: {
      kind: "text",
      value: "WHO",
      help: "who may send: none, link, all, or ID[:MASK][/x|/s],… for everybody (link)",
    },
    "send-off": { kind: "text", value: "FILE", help: "while FILE exists, nothing is sent on any bus" },
    spool: {
      kind: "text",
      value: "DIR",
      help: "folder on disk for what no hub takes, this edge's alone, or off (a service's own)",
    },
    listen: {
      kind: "text",
      value: "[tls:][HOST:]PORT",
      help: "take raw-link hosts here; they may only read unless --allow or a token names them",
    },
    allow: {
      kind: "text",
      value: "ADDRESS[/BITS],…",
      help: "who may connect to --listen, and send under --send link",
    },
    record: {
      kind: "choice",
      choices: ["auto", "21", "29", "13"],
      default: "auto",
      help: "raw-link record size towards HOST",
    },
    filter: { kind: "text", value: "ID:MASK,…", help: "relay only these frames, as candump writes filters" },
    latest: { kind: "flag", help: "relay only the newest frame of each id (with --max-rate)" },
    "max-rate": {
      kind: "number",
      value: "HZ",
      min: 0.1,
      max: 1000,
      unit: "Hz",
      help: "send batches at most this often",
    },
    driver: {
      kind: "choice",
      choices: ["auto", "native", "socketcan"],
      default: "auto",
      help: "how to open SocketCAN interfaces",
    },
    "log-format": {
      kind: "choice",
      choices: ["text", "json"],
      help: "how to write the log: for people, or one JSON object a line (CANFLEET_LOG_FORMAT; text)",
    },
    config: { kind: "text", letter: "c", value: "FILE", help: "read this file instead of the usual ones" },
  },
  description: [
    "Without CHANNEL and --bus the buses come from the configuration file.",
    "A raw link inside TLS that is dialled uses --ca, --cert and --key; one that listens shows --cert with --key, a server's. For different files, links in the configuration have their own.",
    "canfleet edge vcan0 my-can-server 5000 does what ./client vcan0 my-can-server 5000 of socketsocketcan does.",
  ],
  examples: [
    { line: "canfleet edge can0 --hub mqtt://hub:1883 --name pi-7", does: "publish can0 as pi-7/can0" },
    {
      line: "canfleet edge can0 --hub mqtt://hub-a --hub mqtt://hub-b",
      does: "to hub-a, and to hub-b while hub-a is gone (docs/scaling.md)",
    },
    { line: "canfleet edge can0 my-can-server 5000", does: "raw link to a program with a TCPBus" },
    { line: "canfleet edge sim:car=can0 --name car", does: "a simulated car, no hardware" },
  ],
});

export const BRIDGE = defineCommand({
  name: "bridge",
  group: "run",
  summary: "join two buses: local, remote, raw link, simulated",
  synopsis: ["BUS BUS [--one-way] [--filter ID:MASK,…]"],
  arguments: [busArgument(), busArgument()],
  options: {
    "one-way": { kind: "flag", help: "only from the first bus to the second" },
    filter: { kind: "text", letter: "f", value: "ID:MASK,…", help: "only these frames, both ways" },
    ...BUS_OPTIONS,
  },
  description: [
    "Bridges announce themselves on the hub; one that would close a ring is refused with the ring named, so no frame travels in a circle.",
  ],
  examples: [
    { line: "canfleet bridge pi-7/can0 vcan0", does: "a remote bus as a local one, for every SocketCAN program" },
    { line: "canfleet bridge pi-7/can0 pi-9/can0", does: "two sites as one bus" },
  ],
});
