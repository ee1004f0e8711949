import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  assertBase,
  CanfleetError,
  DEFAULT_BASE,
  hubUrlList,
  messageOf,
  redactUrls,
  type HubTls,
  type HubUrls,
} from "@canfleet/sdk";
import type { AccessControl } from "./access/access-control.ts";
import { formatAddress, reachable, type HostPort } from "./address.ts";
import { openToAll } from "./authorization.ts";
import { BrokerProxy } from "./broker-proxy.ts";
import { Broker } from "./broker.ts";
import { drain } from "./drain.ts";
import { EnrolmentApi } from "./enrolment/enrolment-api.ts";
import { Enrolment } from "./enrolment/enrolment.ts";
import { FleetClient } from "./fleet-client.ts";
import { Fleet } from "./fleet.ts";
import { HttpGuard } from "./http-guard.ts";
import { Router } from "./http.ts";
import { checkAddress, openAccess, ownLogin, type HubAccess, type ListenAddress } from "./hub-access.ts";
import { ConnectionGate } from "./connection-gate.ts";
import { checkLimits, type HubLimits } from "./limits.ts";
import {
  listenHttp,
  listenTcp,
  type ConnectionHandler,
  type HttpListenerOptions,
  type Listener,
  type ListenerBounds,
} from "./listeners.ts";
import type { HubLog } from "./log.ts";
import { AUTHORITY_KEY } from "./pki/authority.ts";
import { ProcessMeter } from "./process-metrics.ts";
import { Readiness } from "./readiness.ts";
import { keepServerCertificate } from "./pki/server-renewal.ts";
import { hubRoutes, type HubParts } from "./routes.ts";
import { ServerKeys } from "./server-keys.ts";
import { loadStaticFiles } from "./static-files.ts";
import { Taker } from "./taker.ts";
import { Upstream, type UpstreamEnd } from "./upstream.ts";
import { planTls, type HubTlsConfig, type TlsPlan } from "./tls-config.ts";

export interface HubConfig {
  /** Where MQTT over TCP listens. Default 127.0.0.1:1883; port 0 takes a free one. Not with `brokerUrl`. */
  listen?: HostPort;
  /** Where HTTP listens: page, API, metrics, MQTT over WebSocket. Default 127.0.0.1:8080; false: no HTTP. */
  http?: HostPort | false;
  /** First part of all topics. Default "canfleet". */
  base?: string;
  /**
   * Folder of what the hub keeps; it must be there. With an access.json in it, everybody has to say who they are
   * (docs/security.md); with a server.crt the hub listens with TLS too (docs/enrolment.md). Default: none, everybody who
   * reaches the hub may do everything.
   */
  dataDir?: string;
  /**
   * Lets the hub listen beyond this machine although nobody has to say who they are, or although their passwords cross
   * the network in plain text. Default false.
   */
  insecureLan?: boolean;
  /**
   * Uses this broker (`mqtt://` or `mqtts://`) instead of the embedded one; then the hub is page, acknowledgements and views
   * only. Several addresses are nodes of one broker, in order of preference.
   */
  brokerUrl?: HubUrls;
  /** For a `brokerUrl` with `mqtts://`. */
  brokerTls?: HubTls | undefined;
  /**
   * The hub above, whose subscribers see this hub's edges too (docs/scaling.md, 7); several addresses in order of preference.
   * It acknowledges in this hub's place. Default: none.
   */
  upstream?: HubUrls;
  /** For an `upstream` with `mqtts://` or `wss://`. */
  upstreamTls?: HubTls | undefined;
  /** Encrypted listeners beside the others. Default: on when the data folder has a `server.crt`. */
  tls?: HubTlsConfig;
  /** What is allowed; numbers have ranges (`LIMIT_RANGES`). Default: `DEFAULT_LIMITS`. */
  limits?: Partial<HubLimits>;
  /** Default: silent. */
  log?: HubLog;
}

/** Folder of the built page, beside this module. */
const PAGE_FOLDER = new URL("./page/", import.meta.url);
const DEFAULT_LISTEN: HostPort = { host: "127.0.0.1", port: 1883 };
const DEFAULT_HTTP: HostPort = { host: "127.0.0.1", port: 8080 };
/** How long closing waits for peers at most, ms. */
const CLOSE_TIMEOUT_MS = 1_000;

interface OwnUrls {
  mqtt: string;
  http: string | undefined;
  mqtts: string | undefined;
  https: string | undefined;
  standstill: () => Promise<string | undefined>;
  enrolsEdges: boolean;
}

/** A hub: an embedded MQTT broker, or a client of another one, with a page, an API and metrics. */
export class Hub {
  /** Where the broker is reached from this machine. */
  readonly mqttUrl: string;
  /** Where the page is; undefined without HTTP. */
  readonly httpUrl: string | undefined;
  /** Where the broker and the page are encrypted, by the host that they listen on; undefined where they are not. */
  readonly mqttsUrl: string | undefined;
  readonly httpsUrl: string | undefined;
  /** Whether edges can fetch certificates here. */
  readonly enrolsEdges: boolean;
  readonly #closers: (() => Promise<void>)[];
  readonly #standstill: () => Promise<string | undefined>;

  private constructor(urls: OwnUrls, closers: (() => Promise<void>)[]) {
    this.#standstill = urls.standstill;
    this.mqttUrl = urls.mqtt;
    this.httpUrl = urls.http;
    this.mqttsUrl = urls.mqtts;
    this.httpsUrl = urls.https;
    this.enrolsEdges = urls.enrolsEdges;
    this.#closers = closers;
  }

  /**
   * Starts a hub. Resolves when everything listens.
   *
   * @throws CanfleetError `HUB_UNSAFE_ADDRESS`, `LINK_PORT_IN_USE`, `WIRE_BAD_TOPIC` for the base, `CONFIG_INVALID`
   *   for a wrong access.json too
   */
  static async start(config: HubConfig = {}): Promise<Hub> {
    checkConfig(config);
    const closers: (() => Promise<void>)[] = [];
    try {
      return new Hub(await startParts(config, closers), closers);
    } catch (error) {
      await closeAll(closers);
      throw error;
    }
  }

  /**
   * What of the hub's own work stands still; undefined when nothing does. A message goes from a client of the hub's own through
   * its socket, the packet check and the broker, and is acknowledged. An external broker that is away is no fault of the hub.
   * Resolves when the answer is there, which may be never.
   */
  standstill(): Promise<string | undefined> {
    return this.#standstill();
  }

  /**
   * Acknowledges what was taken, lets subscribers take what waits for them, and ends all connections, within a second
   * (docs/operations.md, 3). Calling it again does nothing.
   */
  async close(): Promise<void> {
    await closeAll(this.#closers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function checkConfig(config: HubConfig): void {
  assertBase(config.base ?? DEFAULT_BASE);
  for (const url of hubUrlList(config.brokerUrl ?? [])) {
    if (/^mqtts?:$/.test(URL.canParse(url) ? new URL(url).protocol : "")) continue;
    throw new CanfleetError(
      "CONFIG_INVALID",
      `broker ${redactUrls(JSON.stringify(url))}: expected mqtt:// or mqtts://`,
    );
  }
}

function checkAddresses(config: HubConfig, access: AccessControl | undefined): void {
  const log = config.log ?? silent;
  const insecureLan = config.insecureLan ?? false;
  for (const address of addressesOf(config)) {
    checkAddress(address, access, { insecureLan, log });
  }
}

/** Where a hub would listen. */
function addressesOf(config: HubConfig): ListenAddress[] {
  const addresses: ListenAddress[] = [];
  const add = (what: string, address: HostPort, isEncrypted: boolean): void => {
    addresses.push({ what, address, isEncrypted });
  };
  if (config.brokerUrl === undefined) add("the MQTT address", config.listen ?? DEFAULT_LISTEN, false);
  if (config.http !== false) add("the HTTP address", config.http ?? DEFAULT_HTTP, false);
  const plan = planTls(config);
  if (plan?.mqtt) add("the MQTT address with TLS", plan.mqtt, true);
  if (plan?.https) add("the HTTPS address", plan.https, true);
  return addresses;
}

async function startParts(config: HubConfig, closers: (() => Promise<void>)[]): Promise<OwnUrls> {
  const base = config.base ?? DEFAULT_BASE;
  const log = config.log ?? silent;
  const limits = checkLimits(config.limits);
  const gate = new ConnectionGate(limits, log);
  const bounds: ListenerBounds = { gate, limits };
  const access = await openChecked(config, base, closers);
  const plan = planTls(config);
  const keys = plan && (await openKeys(plan, closers, log));
  const urls: OwnUrls = {
    mqtt: "",
    http: undefined,
    mqtts: undefined,
    https: undefined,
    enrolsEdges: false,
    standstill: () => Promise.resolve(undefined),
  };
  const mqtt: Listener[] = [];
  const listening = (scheme: string, listener: Listener): string => {
    closers.unshift(() => listener.close());
    if (scheme.startsWith("mqtt")) mqtt.push(listener);
    const url = urlOf(scheme, listener);
    log("info", `${scheme.startsWith("mqtt") ? "MQTT" : "page"} on ${url}`);
    return url;
  };
  let broker: Broker | undefined;
  let webSockets: ConnectionHandler;
  let mqttUrl: string | undefined;
  if (config.brokerUrl === undefined) {
    broker = await Broker.create({ base, limits, gate, authorization: access?.control ?? openToAll, log });
    webSockets = broker;
    closers.push(broker.close.bind(broker));
    mqttUrl = listening("mqtt", await listenTcp(config.listen ?? DEFAULT_LISTEN, broker, bounds));
    if (plan?.mqtt) urls.mqtts = listening("mqtts", await listenTcp(plan.mqtt, broker, bounds, keys));
  } else {
    webSockets = new BrokerProxy(() => fleetClient.address, gate, config.brokerTls);
  }
  const started = await startClients(config, mqttUrl, access?.control, closers);
  const { fleetClient, taker } = started;

  const readiness = new Readiness([fleetClient, taker]);
  closers.push(() => drain({ readiness, mqtt, broker, taker, fleetClient }));
  urls.standstill = () => standstillOf(broker, fleetClient);
  urls.mqtt = fleetClient.address;
  if (config.http === false) return urls;
  const shownUrl = (): string => withoutPassword(fleetClient.address);
  const parts = { base, mqttUrl: shownUrl, broker, gate, ...started, readiness, meter: openMeter(closers) };
  const guard = { access: access?.control, enrolment: enrolmentOf(access, plan, urls.mqtts, log) };
  const http = await httpOptions(parts, guard, webSockets, log);
  urls.http = listening("http", await listenHttp(config.http ?? DEFAULT_HTTP, http, bounds));
  if (plan?.https) urls.https = listening("https", await listenHttp(plan.https, { ...http, keys }, bounds));
  urls.enrolsEdges = guard.enrolment !== undefined;
  return urls;
}

interface StartedClients {
  fleet: Fleet;
  fleetClient: FleetClient;
  taker: Taker;
  /** Undefined without a hub above. */
  upstream: Upstream | undefined;
}

/** The hub's own clients of its broker, or of another one. */
async function startClients(
  config: HubConfig,
  ownUrl: string | undefined,
  access: AccessControl | undefined,
  closers: (() => Promise<void>)[],
): Promise<StartedClients> {
  const { base = DEFAULT_BASE, log = silent, brokerUrl, brokerTls } = config;
  const urls = ownUrl ?? brokerUrl!;
  const fleet = new Fleet(base);
  const own: UpstreamEnd = { urls, login: brokerUrl === undefined ? ownLogin(access) : {}, tls: brokerTls };
  const fleetClient = new FleetClient(urls, base, fleet, log, own.login, brokerTls);
  const taker = new Taker(urls, base, log, own.login, brokerTls, config.upstream === undefined);
  closers.push(
    () => fleetClient.close(),
    () => taker.close(),
  );
  for (const client of [fleetClient, taker]) {
    if (brokerUrl === undefined) await client.start();
    else client.startWhenReachable();
  }
  const upstream = startUpstream(config, own);
  if (upstream) closers.push(() => upstream.close());
  return { fleet, fleetClient, taker, upstream };
}

function startUpstream(config: HubConfig, own: UpstreamEnd): Upstream | undefined {
  const { base = DEFAULT_BASE, log = silent, upstream, upstreamTls } = config;
  if (upstream === undefined) return undefined;
  return new Upstream({ base, log, own, parent: { urls: upstream, login: {}, tls: upstreamTls } });
}

/** Edges enrol where they will connect afterwards: by the hub's own broker with TLS. */
function enrolmentOf(
  access: HubAccess | undefined,
  plan: TlsPlan | undefined,
  mqttsUrl: string | undefined,
  log: HubLog,
): EnrolmentApi | undefined {
  if (!access || !plan?.https || mqttsUrl === undefined) return undefined;
  if (!existsSync(join(access.dataDir, AUTHORITY_KEY))) return undefined;
  const enrolment = new Enrolment(access.dataDir, access.edges, log);
  return new EnrolmentApi(enrolment, Number(new URL(mqttsUrl).port), log);
}

/** What stands still of a broker of our own. */
async function standstillOf(broker: Broker | undefined, fleetClient: FleetClient): Promise<string | undefined> {
  if (!broker) return undefined;
  try {
    await fleetClient.roundTrip();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Access control, and whether the hub may listen where it is to. */
async function openChecked(
  config: HubConfig,
  base: string,
  closers: (() => Promise<void>)[],
): Promise<HubAccess | undefined> {
  const { dataDir, insecureLan = false, log = silent } = config;
  const access = await openAccess({ base, dataDir, insecureLan, log });
  closers.push(() => {
    access?.close();
    return Promise.resolve();
  });
  checkAddresses(config, access?.control);
  return access;
}

function openMeter(closers: (() => Promise<void>)[]): ProcessMeter {
  const meter = new ProcessMeter();
  closers.unshift(() => {
    meter.close();
    return Promise.resolve();
  });
  return meter;
}

async function openKeys(plan: TlsPlan, closers: (() => Promise<void>)[], log: HubLog): Promise<ServerKeys> {
  const stopRenewing = await keepServerCertificate(plan.files, log);
  const keys = await ServerKeys.open(plan.files, log);
  closers.push(() => {
    stopRenewing();
    keys.close();
    return Promise.resolve();
  });
  return keys;
}

/** How HTTP answers, encrypted or not. */
async function httpOptions(
  parts: Omit<HubParts, "files">,
  { access, enrolment }: { access: AccessControl | undefined; enrolment: EnrolmentApi | undefined },
  mqtt: ConnectionHandler,
  log: HubLog,
): Promise<HttpListenerOptions> {
  const files = await loadStaticFiles(PAGE_FOLDER);
  const router = new Router(hubRoutes({ ...parts, files }), log);
  const guard = access && new HttpGuard(access, router, log, enrolment);
  const answering = guard ?? router;
  return {
    onRequest: (request, response) => {
      answering.handle(request, response);
    },
    mqtt,
    // The embedded broker asks each MQTT client itself, by CONNECT, token or cookie; another broker is asked nothing by us.
    mayUpgrade: (request) => !guard || parts.broker !== undefined || guard.mayRead(request),
  };
}

function urlOf(scheme: string, { address }: Listener): string {
  return `${scheme}://${formatAddress({ host: reachable(address.host), port: address.port })}`;
}

function withoutPassword(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

/**
 * From the last to the first: the drain, the hub's own clients, the broker, which lets its clients take what waits for them, then
 * the listeners. A part that does not end in time is left to the end of the process.
 */
async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  const closing = (async () => {
    for (let close = closers.pop(); close; close = closers.pop()) await close();
  })();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  });
  await Promise.race([closing, timeout]);
  clearTimeout(timer);
}

const silent: HubLog = () => undefined;
