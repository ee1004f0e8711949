import type { HubConfig, HubLog } from "@canfleet/hub";
import { HOST_PORT_WANTED, parseHostPort, type HostPort } from "./address.ts";
import { checkedBase, checkedHubUrls } from "./client-settings.ts";
import type { HubSettings } from "./config/schema.ts";
import type { LogFormat } from "./service-log.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** The flags of `hub` and `demo` that say where a hub is. */
export interface HubFlags {
  readonly listen: string | undefined;
  readonly http: string | undefined;
  readonly broker?: readonly string[];
  readonly upstream?: readonly string[];
  readonly base?: string | undefined;
  readonly data?: string | undefined;
  readonly "insecure-lan"?: boolean;
}

/**
 * What a hub is started with: flags, then settings; what neither has is the hub's own default.
 *
 * @throws UsageError naming the flag that is wrong
 */
export function hubConfig(flags: HubFlags, settings: HubSettings, log: HubLog): HubConfig {
  const listen = readAddress("--listen", flags.listen) ?? settings.listen;
  const http = flags.http === "off" ? "off" : (readAddress("--http", flags.http) ?? settings.http);
  const base = checkedBase(flags.base) ?? settings.base;
  const dataDir = flags.data ?? settings.data;
  return {
    log,
    ...tlsConfig(settings.tls),
    insecureLan: flags["insecure-lan"] === true || (settings.insecureLan ?? false),
    ...(listen === undefined ? {} : { listen }),
    ...(http === undefined ? {} : { http: http === "off" ? false : http }),
    ...(base === undefined ? {} : { base }),
    ...(settings.limits === undefined ? {} : { limits: settings.limits }),
    ...(dataDir === undefined ? {} : { dataDir }),
    ...otherHubs(flags, settings),
  };
}

/** Brokers and hubs that this one connects to. */
function otherHubs(flags: HubFlags, settings: HubSettings): Pick<HubConfig, "brokerUrl" | "upstream"> {
  const brokerUrl = checkedHubUrls(flags.broker ?? [], "--broker") ?? settings.broker;
  const upstream = checkedHubUrls(flags.upstream ?? [], "--upstream") ?? settings.upstream;
  return { ...(brokerUrl === undefined ? {} : { brokerUrl }), ...(upstream === undefined ? {} : { upstream }) };
}

function tlsConfig(tls: HubSettings["tls"]): Pick<HubConfig, "tls"> {
  if (tls === undefined) return {};
  const { https, ...rest } = tls;
  return { tls: { ...rest, ...(https === undefined ? {} : { https: https === "off" ? false : https }) } };
}

function readAddress(flag: string, text: string | undefined): HostPort | undefined {
  if (text === undefined) return undefined;
  const address = parseHostPort(text);
  if (address) return address;
  throw new UsageError(`${flag} ${text}: expected ${HOST_PORT_WANTED}`);
}

/**
 * A hub's log on stderr. As text people see what they should look at; where the hub listens is said in the command's own
 * words. As JSON there is all but what is for finding faults.
 */
export function hubLog(terminal: Terminal, format: LogFormat = "text"): HubLog {
  return (level, text, fields) => {
    const isShown = level === "error" || level === "warn" || (level === "info" && format === "json");
    if (isShown) terminal.say(text, level, fields);
  };
}
