import { Hub } from "@canfleet/hub";
import type { Arguments } from "../command-spec.ts";
import type { Context } from "../context.ts";
import { loadHubSettings } from "../data-folder.ts";
import { hubConfig, hubLog } from "../hub-options.ts";
import { chooseLogFormat } from "../service-log.ts";
import { serve, type Service } from "../service.ts";
import type { HUB } from "../table/run.ts";
import { readTls } from "../tls-files.ts";
import { UsageError } from "../usage-error.ts";

/** `canfleet hub` */
export async function runHub(args: Arguments<typeof HUB>, context: Context): Promise<number> {
  const { options, positionals } = args;
  const [action, dir] = positionals;
  if (action === "init") return (await import("../hub-init.ts")).runHubInit(dir, args, context);
  if (action !== undefined) throw new UsageError(`"${action}": expected init, or nothing`, "hub");
  if (options.user !== undefined || options["password-file"] !== undefined || options.name.length > 0) {
    throw new UsageError("--name, --user and --password-file are for canfleet hub init", "hub");
  }
  const { terminal, env, cwd } = context;
  const choice = { service: "hub", flag: options["log-format"], env } as const;
  chooseLogFormat(terminal, choice);
  const settings = await loadHubSettings(options, context);
  const format = chooseLogFormat(terminal, choice, settings.hub.log?.format);
  const config = hubConfig(options, settings.hub, hubLog(terminal, format));
  const { brokerUrl } = config;
  if (brokerUrl !== undefined) config.brokerTls = readTls(brokerUrl, {}, settings.hub.brokerTls, cwd);
  const { upstream } = config;
  if (upstream !== undefined) config.upstreamTls = readTls(upstream, {}, settings.hub.upstreamTls, cwd);
  const start = async (): Promise<Service> => {
    const hub = await Hub.start(config);
    terminal.print(whatRuns(hub, config.brokerUrl !== undefined, hub.enrolsEdges ? config.dataDir : undefined));
    return hub;
  };
  return serve(start, context);
}

/** @param enrolling the folder of a hub that enrols edges; undefined when it does not */
function whatRuns(hub: Hub, isExternal: boolean, enrolling: string | undefined): string {
  const lines = [
    isExternal ? `canfleet hub, broker at ${hub.mqttUrl}` : `canfleet hub`,
    ...(isExternal ? [] : [`  MQTT  ${hub.mqttUrl}`]),
    ...(hub.httpUrl === undefined ? [] : [`  page  ${hub.httpUrl}`]),
    ...(hub.mqttsUrl === undefined ? [] : [`  MQTT  ${hub.mqttsUrl}`]),
    ...(hub.httpsUrl === undefined ? [] : [`  page  ${hub.httpsUrl}`]),
    "Try, in another terminal:",
    ...(enrolling === undefined
      ? [`  canfleet edge sim:car=can0 --name car --hub ${hub.mqttUrl}`, `  canfleet ls --hub ${hub.mqttUrl}`]
      : [`  canfleet enroll pi-7 --data ${enrolling}`]),
  ];
  return `${lines.join("\n")}\n`;
}
