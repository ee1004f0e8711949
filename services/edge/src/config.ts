import { hostname } from "node:os";
import {
  assertLinkSecurity,
  assertBase,
  assertBusName,
  assertEdgeName,
  DEFAULT_BASE,
  MAX_SEND_RATE_HZ,
  type HubLogin,
  messageOf,
  parseAddressList,
  parseFilters,
  type CanFilter,
  type ControlMode,
  type HubTlsSource,
  type HubUrls,
  type LinkSecurity,
} from "@canfleet/sdk";
import { parseBusSpec, type BusPlace } from "./open-bus.ts";
import { checkSpool, type SpoolConfig, type SpoolLimits } from "./ledger/spool-config.ts";
import { checkSendPolicy, type SendConfig, type SendPolicy } from "./send-policy.ts";

interface LinkCommon extends LinkSecurity {
  /** With a token: "auto". */
  record?: RecordForm;
}

/** One raw link of a bus: dial a host, or listen for hosts. */
export type LinkConfig =
  | (LinkCommon & { host: string; port: number })
  | (LinkCommon & {
      listen: number;
      hostname?: string;
      /**
       * Addresses and networks that may connect. Default: all connect. Under `send: link` those listed may send, and who
       * proves the token.
       */
      allow?: readonly string[];
    });

/** Record form towards a host that is not ours. "auto": 21 bytes, and the upgrade is offered. */
export type RecordForm = "auto" | 21 | 29 | 13;

export interface BusConfig {
  /** `can0`, `sim:NAME`, `play:FILE`. */
  channel: string;
  /** Name in topics. Default: the interface's or simulated bus's name. */
  name?: string;
  /** Driver for a real interface. Default "auto": native, else npm socketcan. */
  driver?: "auto" | "native" | "socketcan";
  /** candump syntax, `123:7FF,400~7F0`. Default: everything. */
  filters?: string;
  /** Who may send what: `none`, `link`, `all`, rules as text, or a list of rules (docs/sending.md). Default `link`. */
  send?: SendConfig;
  /** Frames a second that MQTT clients and unnamed hosts together may send, 1–100,000. Default 8,000. */
  maxSendHz?: number;
  /** Only the newest frame of each id. Default false. */
  latest?: boolean;
  /** How often the newest frames are handed on, per second, 0.1–1,000. Default 100 with `latest`. */
  maxRateHz?: number;
  /** Longest wait for more frames while the bus is busy, ms, 0–10. Default 1. */
  gatherMs?: number;
  links?: LinkConfig[];
  /** Control from afar: `none`, `lease` (changes end unless renewed) or `stay` (they may stay). Default `lease`. */
  control?: ControlMode;
}

export interface BridgeConfig {
  a: string;
  b: string;
  /** Frames travel from a to b only. Default false. */
  oneWay?: boolean;
  /** candump syntax. Default: everything. */
  filters?: string;
  /**
   * What it may put on its interface of this machine. Default `link`, which lets the edge's own bridges. Only for an
   * interface that is none of `buses`: on those their own `send` counts.
   */
  send?: SendConfig;
}

export interface BatchLimits {
  /** Frames, 1–4,096. Default 256. */
  maxFrames: number;
  /** Payload bytes, 64–262,144. Default 16,384. */
  maxBytes: number;
  /** Longest wait of a frame in an open batch, ms, 0–1,000. Default 10. */
  maxAgeMs: number;
}

export interface LedgerLimits {
  /** Newest batches of each bus in memory, bytes, 64 KiB–1 GiB. Default 8 MiB. */
  historyBytes: number;
  /** How fast an outage is made good at most, bytes/s, 10 kB–1 GB. Default 16 MiB/s. */
  backfillBytesPerSecond: number;
}

export interface LedgerConfig extends Partial<LedgerLimits> {
  /** What no hub takes goes to disk. Default: it stays in memory alone. */
  spool?: SpoolConfig;
}

export interface CheckedLedger extends LedgerLimits {
  spool: SpoolLimits | undefined;
}

export interface EdgeConfig {
  /** First level of the edge's topics. Default: the machine's name, made to fit. */
  name?: string;
  /**
   * Hub address, `mqtt://HOST[:PORT]`; several in order of preference, of which one is used at a time (docs/scaling.md, 3).
   * Default: none, raw links only.
   */
  hub?: HubUrls;
  /** After so long at another hub than the first, goes back if that answers, minutes, 0.01–10,080. Default: never. */
  hubReturnMinutes?: number;
  /** Who this edge is at the hub. Default: not said. */
  login?: HubLogin;
  /** For a hub at `mqtts://` or `wss://`. Default: the authorities that come with Node, no certificate to show. */
  tls?: HubTlsSource | undefined;
  /** Default "canfleet". */
  base?: string;
  buses: BusConfig[];
  /** While this file exists nothing is sent on any bus. Default: no such switch. */
  sendOffFile?: string;
  bridges?: BridgeConfig[];
  /** For raw links of bridges: `tls` for those at `tls:`, `token` for all. Default: nothing is asked. */
  bridgeLinks?: LinkSecurity | undefined;
  batch?: Partial<BatchLimits> & {
    /** Frames that send their batch at once, candump syntax. Default: none. */
    urgent?: string;
  };
  ledger?: LedgerConfig;
}

export interface CheckedBus {
  channel: string;
  name: string;
  driver: "auto" | "native" | "socketcan";
  filters: CanFilter[];
  send: SendPolicy;
  maxSendHz: number;
  /** Hand on the newest frame of each id this often, Hz; undefined: every frame. */
  latestHz: number | undefined;
  gatherMs: number;
  links: LinkConfig[];
  control: ControlMode;
  /** The filters as they were written. */
  filterText: string;
}

export interface CheckedBridge extends Omit<BridgeConfig, "send"> {
  /** For an interface that is no bus of the edge. */
  send: SendPolicy;
}

export interface CheckedConfig {
  name: string;
  hub: HubUrls | undefined;
  hubReturnMinutes: number | undefined;
  login: HubLogin;
  tls: HubTlsSource | undefined;
  base: string;
  buses: CheckedBus[];
  sendOffFile: string | undefined;
  bridges: CheckedBridge[];
  bridgeLinks: LinkSecurity | undefined;
  batch: BatchLimits;
  /** Frames that send their batch at once, in candump's notation. */
  urgent: string;
  ledger: CheckedLedger;
}

/** One mistake: where it is (`buses[0].filters`) and what was wanted there. */
export interface ConfigMistake {
  path: string;
  text: string;
}

/** The edge name for this machine: its host name in lower case, with what topics cannot hold replaced by `-`. */
export function defaultEdgeName(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/\..*$/, "")
    .replace(/[^a-z0-9_-]/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, 32);
  return name === "" ? "edge" : name;
}

/** The bus name that a channel has in topics when it was given none. */
export function defaultBusName(channel: string): string {
  const [kind, rest] = channel.split(/:(.*)/s);
  if (kind === "sim" && rest !== undefined) return rest;
  if (kind === "play") return "play0";
  return channel;
}

const DEFAULT_BATCH: BatchLimits = { maxFrames: 256, maxBytes: 16_384, maxAgeMs: 10 };
const DEFAULT_LEDGER: LedgerLimits = { historyBytes: 8 * 1024 * 1024, backfillBytesPerSecond: 16 * 1024 * 1024 };
const DEFAULT_LATEST_HZ = 100;
/** What a full 1 Mbit/s bus carries in frames of 8 bytes: bridges and replays through the hub work, floods end. */
const DEFAULT_MAX_SEND_HZ = 8000;

/** Checks a configuration and fills in the defaults; all mistakes are found, not only the first. */
export function checkEdgeConfig(config: EdgeConfig): { checked: CheckedConfig; mistakes: ConfigMistake[] } {
  const check = new Checker();
  const name = config.name ?? defaultEdgeName();
  const base = config.base ?? DEFAULT_BASE;
  check.run("name", () => assertEdgeName(name));
  check.run("base", () => assertBase(base));
  if (config.hubReturnMinutes !== undefined) check.range("hubReturnMinutes", config.hubReturnMinutes, 0.01, 10_080);
  if (config.sendOffFile?.trim() === "") check.add("sendOffFile", "the name of a file");
  if (config.buses.length === 0 && (config.bridges ?? []).length === 0)
    check.add("buses", "at least one bus or bridge");
  const buses = config.buses.map((bus, i) => check.bus(bus, `buses[${i}]`));
  check.sameNames(buses);
  check.batch({ ...DEFAULT_BATCH, ...config.batch });
  const urgent = config.batch?.urgent ?? "";
  check.run("batch.urgent", () => parseFilters(urgent));
  const bridges = (config.bridges ?? []).map((bridge, i) => check.bridge(bridge, `bridges[${i}]`, config.buses));
  const checked: CheckedConfig = {
    name,
    hub: config.hub,
    hubReturnMinutes: config.hubReturnMinutes,
    login: config.login ?? {},
    tls: config.tls,
    base,
    buses,
    sendOffFile: config.sendOffFile,
    bridges,
    bridgeLinks: config.bridgeLinks,
    batch: { ...DEFAULT_BATCH, ...config.batch },
    urgent,
    ledger: check.ledger(config.ledger ?? {}),
  };
  return { checked, mistakes: check.mistakes };
}

class Checker {
  readonly mistakes: ConfigMistake[] = [];

  add(path: string, text: string): void {
    this.mistakes.push({ path, text });
  }

  run<T>(path: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      this.add(path, messageOf(error));
      return undefined;
    }
  }

  range(path: string, value: number, min: number, max: number): void {
    if (!(value >= min && value <= max)) this.add(path, `expected ${min} to ${max}, got ${value}`);
  }

  inRange(path: string, value: number, min: number, max: number): number {
    this.range(path, value, min, max);
    return value;
  }

  bus(bus: BusConfig, path: string): CheckedBus {
    const name = bus.name ?? defaultBusName(bus.channel);
    this.run(`${path}.${bus.name === undefined ? "channel" : "name"}`, () => assertBusName(name));
    const latest = bus.latest === true || bus.maxRateHz !== undefined;
    const latestHz = latest ? (bus.maxRateHz ?? DEFAULT_LATEST_HZ) : undefined;
    if (latestHz !== undefined) this.range(`${path}.maxRateHz`, latestHz, 0.1, 1000);
    const gatherMs = bus.gatherMs ?? 1;
    this.range(`${path}.gatherMs`, gatherMs, 0, 10);
    (bus.links ?? []).forEach((link, i) => this.link(link, `${path}.links[${i}]`));
    return {
      channel: bus.channel,
      name,
      driver: bus.driver ?? "auto",
      filters: this.run(`${path}.filters`, () => parseFilters(bus.filters ?? "")) ?? [],
      send: checkSendPolicy(bus.send ?? "link", `${path}.send`, (at, text) => this.add(at, text)),
      maxSendHz: this.inRange(`${path}.maxSendHz`, bus.maxSendHz ?? DEFAULT_MAX_SEND_HZ, 1, MAX_SEND_RATE_HZ),
      latestHz,
      gatherMs,
      links: bus.links ?? [],
      control: bus.control ?? "lease",
      filterText: bus.filters ?? "",
    };
  }

  bridge(bridge: BridgeConfig, path: string, buses: readonly BusConfig[]): CheckedBridge {
    this.run(`${path}.filters`, () => parseFilters(bridge.filters ?? ""));
    const places = [bridge.a, bridge.b].map(
      (name, i) => this.run(`${path}.${i === 0 ? "a" : "b"}`, () => parseBusSpec(name))?.place,
    );
    const isOwn = (place: BusPlace | undefined): boolean =>
      place?.kind === "local" && !buses.some(({ channel }) => channel === place.channel);
    if (bridge.send !== undefined && !places.some(isOwn)) {
      this.add(
        `${path}.send`,
        "an interface of this machine in the bridge that is none of buses, whose own send counts",
      );
    }
    return {
      ...bridge,
      send: checkSendPolicy(bridge.send ?? "link", `${path}.send`, (at, text) => this.add(at, text)),
    };
  }

  link(link: LinkConfig, path: string): void {
    const [key, port] = "listen" in link ? ["listen", link.listen] : ["port", link.port];
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      this.add(`${path}.${key}`, `expected a port 0 to 65535, got ${port}`);
    if ("listen" in link) this.run(`${path}.allow`, () => parseAddressList(link.allow ?? []));
    if (!["auto", 21, 29, 13].includes(link.record ?? "auto"))
      this.add(`${path}.record`, "expected auto, 21, 29 or 13");
    this.run(path, () => assertLinkSecurity(link, "listen" in link, link.record));
  }

  sameNames(buses: CheckedBus[]): void {
    buses.forEach((bus, i) => {
      const first = buses.findIndex((other) => other.name === bus.name);
      if (first < i) this.add(`buses[${i}].name`, `the name ${bus.name} is taken by buses[${first}]`);
    });
  }

  ledger(config: LedgerConfig): CheckedLedger {
    const limits = { ...DEFAULT_LEDGER, ...config };
    this.range("ledger.historyBytes", limits.historyBytes, 65_536, 2 ** 30);
    this.range("ledger.backfillBytesPerSecond", limits.backfillBytesPerSecond, 10_000, 1e9);
    const checked = config.spool && checkSpool(config.spool);
    for (const { key, text } of checked?.mistakes ?? []) this.add(`ledger.spool.${key}`, text);
    return { ...limits, spool: checked?.spool };
  }

  batch(limits: BatchLimits): void {
    this.range("batch.maxFrames", limits.maxFrames, 1, 4096);
    this.range("batch.maxBytes", limits.maxBytes, 64, 262_144);
    this.range("batch.maxAgeMs", limits.maxAgeMs, 0, 1000);
  }
}
