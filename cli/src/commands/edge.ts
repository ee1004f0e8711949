import { defaultBusName, Edge, type EdgeConfig } from "@canfleet/edge";
import type { Arguments } from "../command-spec.ts";
import { loadSettings } from "../config/load.ts";
import type { Context } from "../context.ts";
import { edgeConfig } from "../edge-options.ts";
import { readLogin } from "../login.ts";
import { chooseLogFormat } from "../service-log.ts";
import { serve, type Service } from "../service.ts";
import type { EDGE } from "../table/run.ts";
import { serviceSpoolFolder } from "../spool-folder.ts";
import { readTls } from "../tls-files.ts";

/** `canfleet edge` */
export async function runEdge(args: Arguments<typeof EDGE>, context: Context): Promise<number> {
  const { terminal, env, cwd } = context;
  const choice = { service: "edge", flag: args.options["log-format"], env } as const;
  chooseLogFormat(terminal, choice);
  const settings = await loadSettings({ env, cwd, file: args.options.config });
  const format = chooseLogFormat(terminal, choice, settings.edge.log?.format);
  const login = await readLogin(settings.edge, cwd);
  const config: EdgeConfig = { ...edgeConfig(args, settings.edge, serviceSpoolFolder(env)), login };
  if (config.hub !== undefined) config.tls = await readTls(config.hub, args.options, settings.edge.tls, cwd);
  const start = async (): Promise<Service> => {
    let onEnd = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      onEnd = resolve;
    });
    const log = (text: string, level?: "info" | "warn"): void => terminal.say(text, level);
    const edge = await Edge.start(config, { log, onEnd: () => onEnd() });
    if (format === "json") terminal.logAsJson({ service: "edge", edge: edge.name });
    terminal.print(whatRuns(edge.name, config));
    const close = async (): Promise<void> => {
      await edge.close();
      terminal.say(summary(edge));
    };
    return { ended, close, standstill: () => edge.standstill() };
  };
  return serve(start, context);
}

function whatRuns(name: string, config: EdgeConfig): string {
  const lines = [`canfleet edge ${name}`];
  for (const { channel, name: given, links = [], send = "link" } of config.buses) {
    const bus = given ?? defaultBusName(channel);
    const where = config.hub === undefined ? bus : `${name}/${bus}`;
    lines.push(`  ${where}  ${channel}, send: ${typeof send === "string" ? send : `${send.length} rules`}`);
    for (const link of links) {
      lines.push(
        "listen" in link ? `    listens for hosts on port ${link.listen}` : `    host ${link.host}:${link.port}`,
      );
    }
  }
  if (config.hub !== undefined) {
    const first = config.buses[0];
    lines.push(`  hub ${config.hub}`);
    if (config.ledger?.spool) lines.push(`  spool ${config.ledger.spool.dir}`);
    if (first)
      lines.push(`Try: canfleet dump ${name}/${first.name ?? defaultBusName(first.channel)} --hub ${config.hub}`);
  }
  return `${lines.join("\n")}\n`;
}

function summary(edge: Edge): string {
  const buses = Object.entries(edge.counters()).map(
    ([bus, { received, sent, refused }]) =>
      `${bus} ${received} received, ${sent} sent${refused > 0 ? `, ${refused} refused` : ""}`,
  );
  return `edge ${edge.name} ends: ${buses.join("; ")}`;
}
