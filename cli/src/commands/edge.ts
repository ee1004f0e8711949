import { defaultBusName, Edge, type EdgeConfig } from "@canfleet/edge";
import { CanfleetError, type LinkSecurity } from "@canfleet/sdk";
import { hubFlags, shownHubs } from "../client-settings.ts";
import type { Arguments } from "../command-spec.ts";
import { loadSettings } from "../config/load.ts";
import type { EdgeTlsSettings } from "../config/schema.ts";
import type { Context } from "../context.ts";
import { edgeConfig } from "../edge-options.ts";
import { hasEncryptedLinks, withLinkSecrets } from "../link-secrets.ts";
import { readLogin } from "../login.ts";
import { chooseLogFormat } from "../service-log.ts";
import { serve, type Service } from "../service.ts";
import type { EDGE } from "../table/run.ts";
import { serviceSpoolFolder } from "../spool-folder.ts";
import { edgeNameIn, watchTls, type TlsFlags } from "../tls-files.ts";

/** `canfleet edge` */
export async function runEdge(args: Arguments<typeof EDGE>, context: Context): Promise<number> {
  const { terminal, env, cwd } = context;
  const choice = { service: "edge", flag: args.options["log-format"], env } as const;
  chooseLogFormat(terminal, choice);
  const settings = await loadSettings({ env, cwd, file: args.options.config });
  const format = chooseLogFormat(terminal, choice, settings.edge.log?.format);
  const login = await readLogin(settings.edge, cwd);
  const log = (text: string, level?: "info" | "warn"): void => terminal.say(text, level);
  const plan = edgeConfig(args, settings.edge, serviceSpoolFolder(env));
  const config: EdgeConfig = { ...(await withLinkSecrets(plan, args.options, settings.edge, cwd)), login };
  const isElsewhere = hasEncryptedLinks(plan);
  const tls =
    config.hub === undefined ? undefined : watchTls(config.hub, args.options, settings.edge.tls, cwd, log, isElsewhere);
  config.tls = tls;
  nameByCertificate(config, edgeNameIn(tls?.().cert));
  const renewal = await startRenewal(args.options, settings.edge.tls, cwd, log);
  const start = async (): Promise<Service> => {
    let onEnd = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      onEnd = resolve;
    });
    const edge = await Edge.start(config, { log, onEnd: () => onEnd() });
    if (format === "json") terminal.logAsJson({ service: "edge", edge: edge.name });
    terminal.print(whatRuns(edge.name, config));
    const close = async (): Promise<void> => {
      renewal?.close();
      await edge.close();
      terminal.say(summary(edge));
    };
    return { ended, close, standstill: () => edge.standstill() };
  };
  return serve(start, context);
}

/** A hub lets an edge in under the name in its certificate, and under no other. */
function nameByCertificate(config: EdgeConfig, certified: string | undefined): void {
  if (certified === undefined) return;
  const { name = certified } = config;
  if (name !== certified) {
    throw new CanfleetError("CONFIG_INVALID", `this edge is called ${name}, and its certificate is for ${certified}`);
  }
  config.name = name;
}

/** Renewal, where the settings say by whom. Loaded only then: it needs parts of the hub. */
async function startRenewal(
  flags: TlsFlags,
  tls: EdgeTlsSettings | undefined,
  cwd: string,
  log: (text: string) => void,
): Promise<{ close(): void } | undefined> {
  if (tls?.renew === undefined) return undefined;
  const { CertificateRenewal } = await import("../certificate-renewal.ts");
  return CertificateRenewal.start(tls.renew, { ...tls, ...definedOf(flags) }, cwd, log);
}

function definedOf({ ca, cert, key }: TlsFlags): Partial<EdgeTlsSettings> {
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}

function whatRuns(name: string, config: EdgeConfig): string {
  const lines = [`canfleet edge ${name}`];
  for (const { channel, name: given, links = [], send = "link" } of config.buses) {
    const bus = given ?? defaultBusName(channel);
    const where = config.hub === undefined ? bus : `${name}/${bus}`;
    lines.push(`  ${where}  ${channel}, send: ${typeof send === "string" ? send : `${send.length} rules`}`);
    for (const link of links) {
      const where = "listen" in link ? `listens for hosts on port ${link.listen}` : `host ${link.host}:${link.port}`;
      lines.push(`    ${where}${securedBy(link)}`);
    }
  }
  if (config.hub !== undefined) {
    const { hub } = config;
    const first = config.buses[0];
    lines.push(`  hub ${shownHubs(hub)}`);
    if (config.ledger?.spool) lines.push(`  spool ${config.ledger.spool.dir}`);
    if (first) lines.push(`Try: canfleet dump ${name}/${first.name ?? defaultBusName(first.channel)} ${hubFlags(hub)}`);
  }
  return `${lines.join("\n")}\n`;
}

function securedBy({ tls, token }: LinkSecurity): string {
  if (tls) return token === undefined ? ", TLS" : ", TLS and token";
  return token === undefined ? "" : ", token without TLS: frames can be read and changed on their way";
}

function summary(edge: Edge): string {
  const buses = Object.entries(edge.counters()).map(
    ([bus, { received, sent, refused }]) =>
      `${bus} ${received} received, ${sent} sent${refused > 0 ? `, ${refused} refused` : ""}`,
  );
  return `edge ${edge.name} ends: ${buses.join("; ")}`;
}
