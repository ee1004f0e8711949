import type { BusConfig, EdgeConfig } from "@canfleet/edge";
import { HOST_PORT_WANTED, parsePort } from "./address.ts";
import type { Arguments } from "./command-spec.ts";
import { checkedBase, checkedHubUrls, DEFAULT_HUB_URL } from "./client-settings.ts";
import { parseLinkListen, recordForm, type EdgeSettings, type LinkSettings } from "./config/schema.ts";
import type { EDGE } from "./table/run.ts";
import { spoolConfig } from "./spool-folder.ts";
import { UsageError } from "./usage-error.ts";

type EdgeArguments = Arguments<typeof EDGE>;

/**
 * What an edge is started with: buses of the command line, or those of the settings; flags before settings.
 *
 * @throws UsageError naming the argument that is wrong
 */
export function edgeConfig(
  { options, positionals }: EdgeArguments,
  settings: EdgeSettings,
  unaskedSpool?: string,
): EdgeConfig {
  const [channel, host, port] = positionals;
  const channels = [...(channel === undefined ? [] : [channel]), ...options.bus];
  const buses = channels.length > 0 ? channels.map((text) => busOf(text, options)) : fileBuses(settings, options);
  if (channel !== undefined) addLinks(buses[0]!, host, port, options);
  else if (options.listen !== undefined) throw new UsageError("--listen needs a CHANNEL: which bus is it for?", "edge");
  const namedHub = checkedHubUrls(options.hub) ?? settings.hub;
  const name = options.name ?? settings.name;
  const base = checkedBase(options.base) ?? settings.base;
  const isLinked = buses.some(({ links }) => (links ?? []).length > 0);
  const hub = namedHub ?? (isLinked ? undefined : DEFAULT_HUB_URL);
  return {
    buses,
    ...(hub === undefined ? {} : { hub }),
    ...(name === undefined ? {} : { name }),
    ...(base === undefined ? {} : { base }),
    ...sendOff(options["send-off"] ?? settings.sendOffFile),
    ...fromFile(settings),
    ...(hub === undefined ? {} : ledgerOf(settings, options.spool, unaskedSpool)),
  };
}

/** What no flag says. */
function fromFile({
  bridges,
  batch,
  hubReturnMinutes,
}: EdgeSettings): Pick<EdgeConfig, "bridges" | "batch" | "hubReturnMinutes"> {
  return {
    ...(hubReturnMinutes !== undefined && { hubReturnMinutes }),
    ...(bridges && { bridges }),
    ...(batch && { batch }),
  };
}

function ledgerOf(
  { ledger: { spool: inSettings, ...limits } = {} }: EdgeSettings,
  flag: string | undefined,
  unasked: string | undefined,
): Pick<EdgeConfig, "ledger"> {
  const spool = spoolConfig(flag, inSettings, unasked);
  if (!spool && Object.keys(limits).length === 0) return {};
  return { ledger: { ...limits, ...(spool && { spool }) } };
}

function sendOff(sendOffFile: string | undefined): Pick<EdgeConfig, "sendOffFile"> {
  return sendOffFile === undefined ? {} : { sendOffFile };
}

function fileBuses({ buses = [], bridges = [] }: EdgeSettings, options: EdgeArguments["options"]): BusConfig[] {
  if (buses.length === 0 && bridges.length === 0) {
    throw new UsageError("which bus? Name a CHANNEL such as can0 or sim:car, or list buses in canfleet.yaml", "edge");
  }
  return buses.map((bus) => ({ ...bus, ...busFlags(options) }));
}

/** `CHANNEL[=NAME]` */
function busOf(text: string, options: EdgeArguments["options"]): BusConfig {
  const at = text.lastIndexOf("=");
  const named = at < 0 ? { channel: text } : { channel: text.slice(0, at), name: text.slice(at + 1) };
  return { ...named, ...busFlags(options) };
}

function busFlags(options: EdgeArguments["options"]): Partial<BusConfig> {
  return {
    ...(options.driver === "auto" ? {} : { driver: options.driver }),
    ...(options.filter === undefined ? {} : { filters: options.filter }),
    ...(options.send === undefined ? {} : { send: options.send }),
    ...(options.latest ? { latest: true } : {}),
    ...(options["max-rate"] === undefined ? {} : { maxRateHz: options["max-rate"] }),
  };
}

function addLinks(
  bus: BusConfig,
  host: string | undefined,
  portText: string | undefined,
  { record, listen, allow }: EdgeArguments["options"],
): void {
  const links: LinkSettings[] = bus.links ?? [];
  if (host !== undefined) {
    const port = parsePort(portText ?? "");
    if (port === undefined || port === 0)
      throw new UsageError(`edge CHANNEL ${host} needs a PORT from 1 to 65535`, "edge");
    const [name, tls] = withoutTls(host);
    links.push({ host: name, port, record: recordForm(record), ...tls });
  }
  if (listen !== undefined) {
    const [where, tls] = withoutTls(listen);
    const place = parseLinkListen(where);
    if (!place) throw new UsageError(`--listen ${listen}: expected ${HOST_PORT_WANTED}`, "edge");
    const allowed = allow === undefined ? {} : { allow: allow.split(",") };
    links.push({ ...place, record: recordForm(record), ...allowed, ...tls });
  } else if (allow !== undefined) {
    throw new UsageError("--allow needs --listen: who may connect to what?", "edge");
  }
  if (links.length > 0) bus.links = links;
}

/** `tls:` in front of a place says that the link is inside TLS. */
function withoutTls(place: string): [place: string, tls: Pick<LinkSettings, "tlsFiles">] {
  return place.startsWith("tls:") ? [place.slice("tls:".length), { tlsFiles: {} }] : [place, {}];
}
