import type { LinkConfig, RecordForm, SendConfig } from "@canfleet/edge";
import { LIMIT_RANGES, type NumericLimit } from "@canfleet/hub/limits";
import {
  isBusName,
  isEdgeName,
  MAX_SEND_RATE_HZ,
  parseAddressList,
  parseSendRules,
  readSendRule,
  SEND_SOURCES,
  type HubUrls,
  type SendRuleConfig,
  type SendSource,
} from "@canfleet/sdk";
import { LOG_FORMATS } from "../service-log.ts";
import { HOST_PORT_WANTED, parseHostPort, parsePort, type HostPort } from "../address.ts";
import { HTTPS_URL_WANTED, parseHttpsUrl } from "../enroll-token.ts";
import {
  filters,
  flag,
  group,
  groupWith,
  hostPort,
  listOf,
  number,
  oneOf,
  parsed,
  text,
  whole,
  type Check,
  type Group,
} from "./checks.ts";

/** Whether a hub can be reached under such an address. */
export function isHubUrl(value: string): boolean {
  return URL.canParse(value) && /^(mqtts?|wss?):$/.test(new URL(value).protocol);
}

/** Addresses of hubs behind commas; undefined when one is none. */
export function parseHubUrls(value: string): HubUrls | undefined {
  const urls = value.split(",").map((url) => url.trim());
  if (!urls.every(isHubUrl)) return undefined;
  return urls.length === 1 ? urls[0] : urls;
}

/** Whether topics can begin with it. */
export function isBase(value: string): boolean {
  return /^[A-Za-z0-9_-]{1,32}(\/[A-Za-z0-9_-]{1,32}){0,3}$/.test(value);
}

export const HUB_URL_WANTED = "mqtt://HOST[:PORT], mqtts://, ws:// or wss://";
export const BASE_WANTED = "up to 4 levels of A–Z, a–z, 0–9, _ and -";
export const EDGE_NAME_WANTED = "1 to 32 of a–z, 0–9, _ and -, beginning with a letter or digit";
export const BUS_NAME_WANTED = "1 to 15 of A–Z, a–z, 0–9, . _ and -";
export const SEND_WANTED = "none, link, all, or rules such as 123,200:7F0";

/** One address, several behind commas, or a list. One alone stays a text. */
const hubUrls: Check<HubUrls> = (node, key, problems) => {
  if (node.kind === "list") return listOf(text(isHubUrl, HUB_URL_WANTED))(node, key, problems);
  return parsed(parseHubUrls, HUB_URL_WANTED)(node, key, problems);
};
const base = text(isBase, BASE_WANTED);
const something = (wanted: string): Check<string> => text((value) => value.trim() !== "", wanted);

const http: Check<HostPort | "off"> = parsed(
  (value) => (value === "off" ? value : parseHostPort(value)),
  `${HOST_PORT_WANTED}, or off`,
);

const addressOrNetwork = text(isAddressOrNetwork, "an address, or a network such as 10.0.0.0/8");
const file = something("the name of a file");
const tlsChecks = { ca: file, cert: file, key: file, servername: something("a host name") };
const tls = group(tlsChecks);

/** A raw link, with the files that its secrets are in. */
export type LinkSettings = LinkConfig & { tlsFiles?: TlsSettings; tokenFile?: string };

const linkGroup = group({
  host: something("a host name or address"),
  port: whole(1, 65_535, "port"),
  record: oneOf("auto", "21", "29", "13"),
  listen: parsed(parseLinkListen, HOST_PORT_WANTED),
  allow: listOf(addressOrNetwork),
  tls,
  tokenFile: file,
});

function isAddressOrNetwork(value: string): boolean {
  try {
    parseAddressList([value]);
    return true;
  } catch {
    return false;
  }
}

/** Where a raw link listens; without a host it is left to the link. Undefined when the text is no such place. */
export function parseLinkListen(value: string): { listen: number; hostname?: string } | undefined {
  const port = parsePort(value);
  if (port !== undefined) return { listen: port };
  const address = parseHostPort(value);
  return address && { listen: address.port, hostname: address.host };
}

/** Turns what the command line and YAML call a record size into the edge's own form. */
export function recordForm(choice: "auto" | "21" | "29" | "13"): RecordForm {
  if (choice === "auto") return choice;
  return choice === "21" ? 21 : choice === "29" ? 29 : 13;
}

const link: Check<LinkSettings> = (node, key, problems) => {
  const before = problems.length;
  const value = linkGroup(node, key, problems);
  if (value === null || problems.length > before) return null;
  const { host, port, listen, allow, tls: tlsFiles, tokenFile } = value;
  const record = recordForm(value.record ?? "auto");
  const secrets = { ...(tlsFiles && { tlsFiles }), ...(tokenFile !== undefined && { tokenFile }) };
  if (listen !== undefined && host === undefined && port === undefined)
    return { ...listen, record, ...(allow && { allow }), ...secrets };
  if (listen === undefined && host !== undefined && port !== undefined) return { host, port, record, ...secrets };
  problems.push({ where: node.where, key, wanted: "either host: and port:, or listen:" });
  return null;
};

const sendText: Check<string> = parsed((value) => {
  parseSendRules(value);
  return value;
}, SEND_WANTED);

const anyText: Check<string> = text(() => true, "text");
const source = oneOf(...SEND_SOURCES);
const sourceList = listOf(source);
const ruleGroup = group({
  id: anyText,
  mask: anyText,
  format: oneOf("standard", "extended"),
  dlc: anyText,
  length: anyText,
  fd: flag,
  maxRateHz: number(0.01, MAX_SEND_RATE_HZ, "frames/s"),
  burst: whole(1, MAX_SEND_RATE_HZ, "frames"),
  from: (node, key, problems): SendSource[] | null => {
    if (node.kind === "list") return sourceList(node, key, problems);
    const one = source(node, key, problems);
    return one === null ? null : [one];
  },
});

const sendRule: Check<string | SendRuleConfig> = (node, key, problems) => {
  if (node.kind !== "map") return sendText(node, key, problems);
  const before = problems.length;
  const value = ruleGroup(node, key, problems);
  if (value === null || problems.length > before) return null;
  for (const mistake of readSendRule(value).mistakes) {
    const child = node.entries.get(mistake.key) ?? node;
    problems.push({
      where: child.where,
      key: mistake.key === "" ? key : `${key}.${mistake.key}`,
      wanted: mistake.text,
    });
  }
  return value;
};

const sendRules = listOf(sendRule);
const send: Check<SendConfig> = (node, key, problems) =>
  node.kind === "list" ? sendRules(node, key, problems) : sendText(node, key, problems);

const bus = groupWith(
  {
    channel: something("a CAN interface, sim:NAME or play:FILE"),
    name: text(isBusName, BUS_NAME_WANTED),
    driver: oneOf("auto", "native", "socketcan"),
    filters,
    send,
    maxSendHz: number(1, MAX_SEND_RATE_HZ, "frames/s"),
    latest: flag,
    maxRateHz: number(0.1, 1_000, "Hz"),
    gatherMs: number(0, 10, "ms"),
    control: oneOf("none", "lease", "stay"),
    links: listOf(link),
  },
  "channel",
);

const bridge = groupWith({ a: something("a bus"), b: something("a bus"), oneWay: flag, filters, send }, "a", "b");

const batch = group({
  maxFrames: whole(1, 4_096, "frames"),
  maxBytes: whole(64, 262_144, "bytes"),
  maxAgeMs: number(0, 1_000, "ms"),
  urgent: filters,
});

const login = {
  user: something("a user name"),
  passwordFile: something("a file"),
  tokenFile: something("a file"),
};
const ledger = group({
  historyBytes: whole(65_536, 2 ** 30, "bytes"),
  backfillBytesPerSecond: whole(10_000, 1e9, "bytes/s"),
  spool: group({
    dir: something("a folder, or off"),
    maxBytes: whole(131_072, 2 ** 40, "bytes"),
    segmentBytes: whole(65_536, 64 * 1024 * 1024, "bytes"),
    maxAgeHours: number(0.001, 100_000, "hours"),
    keepSeconds: number(0, 3_600, "s"),
    policy: oneOf("drop-oldest", "drop-newest"),
  }),
});

const httpsUrl = text((value) => parseHttpsUrl(value) !== undefined, HTTPS_URL_WANTED);
const edgeTls = group({ ...tlsChecks, renew: httpsUrl });

const numbers = Object.fromEntries(
  Object.entries(LIMIT_RANGES).map(([name, [min, max, unit]]) => [name, whole(min, max, unit)]),
) as { [K in NumericLimit]: Check<number> };
const limits = group({
  ...numbers,
  sharedAddresses: listOf(addressOrNetwork),
  retainTopics: listOf(something("a topic filter such as mine/#")),
});
const log = group({ format: oneOf(...LOG_FORMATS) });

const SECTIONS = {
  hub: group({
    listen: hostPort,
    http,
    base,
    data: something("a folder"),
    insecureLan: flag,
    limits,
    broker: hubUrls,
    brokerTls: tls,
    upstream: hubUrls,
    upstreamTls: tls,
    tls: group({ listen: hostPort, https: http, cert: file, key: file, ca: file }),
    log,
  }),
  edge: group({
    name: text(isEdgeName, EDGE_NAME_WANTED),
    hub: hubUrls,
    hubReturnMinutes: number(0.01, 10_080, "minutes"),
    tls: edgeTls,
    base,
    ...login,
    buses: listOf(bus),
    sendOffFile: something("the name of a file"),
    bridges: listOf(bridge),
    linkTokenFile: file,
    batch,
    ledger,
    log,
  }),
  client: group({ hub: hubUrls, tls, base, ...login, linkTokenFile: file }),
};

/** Everything that a configuration source can say; each part may be absent. */
export const readSettings = group(SECTIONS);
export type Settings = Group<typeof SECTIONS>;
export type HubSettings = NonNullable<Settings["hub"]>;
export type EdgeSettings = NonNullable<Settings["edge"]>;
/** Names of files, as they were written, and the hub's name. */
export type TlsSettings = NonNullable<ClientSettings["tls"]>;
/** The same for edges, and where they renew their certificates. */
export type EdgeTlsSettings = NonNullable<EdgeSettings["tls"]>;
export type ClientSettings = NonNullable<Settings["client"]>;
