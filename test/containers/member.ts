import { GenericContainer, getContainerRuntimeClient, Wait, type ContainerRuntimeClient } from "testcontainers";
import { until } from "../e2e/support/until.ts";
import { OWNER_LABEL } from "./engine.ts";

const START_LIMIT_MS = 120_000;
/** The image's own check, asked more often, and with patience for a machine that does other things. */
const HEALTH_CHECK = { Interval: 2e9, Timeout: 60e9, StartPeriod: 120e9 };
/** What a container gets to end by itself, s. */
const STOP_LIMIT_S = 30;

type DockerContainer = ReturnType<ContainerRuntimeClient["container"]["getById"]>;

export interface MemberOptions {
  image: string;
  network: string;
  /** Name on the network; none: it can be reached by its address only. */
  alias?: string;
  command?: readonly string[];
  /** Ports of the container that are published on ports of 127.0.0.1 that the engine picks. */
  ports?: readonly number[];
  /** Files of this machine, read-only: source → place in the container. */
  files?: { readonly [source: string]: string };
  /** Ours: nothing can be written but /data, no capabilities, and up means healthy. */
  isOurs?: boolean;
}

/** As our own documents advise to run it. */
class HardenedContainer extends GenericContainer {
  constructor({ image, network, alias, command, ports = [], files = {}, isOurs = true }: MemberOptions) {
    super(image);
    // What is left over is removed by label, without a container more that does it.
    this.withAutoCleanup(false).withNetworkMode(network).withStartupTimeout(START_LIMIT_MS);
    this.withLabels({ [OWNER_LABEL]: String(process.pid) });
    if (alias !== undefined) this.withNetworkAliases(alias);
    if (command) this.withCommand([...command]);
    this.withBindMounts(Object.entries(files).map(([source, target]) => ({ source, target, mode: "ro" })));
    const names = ports.map((port) => `${port}/tcp`);
    this.createOpts.ExposedPorts = Object.fromEntries(names.map((name) => [name, {}]));
    // On loopback, which testcontainers' own way of publishing a port cannot say.
    this.hostConfig.PortBindings = Object.fromEntries(
      names.map((name) => [name, [{ HostIp: "127.0.0.1", HostPort: "" }]]),
    );
    if (!isOurs) return;
    this.hostConfig.ReadonlyRootfs = true;
    this.hostConfig.Init = true;
    this.withDroppedCapabilities("ALL").withSecurityOpt("no-new-privileges:true");
    this.createOpts.Healthcheck = HEALTH_CHECK;
    this.withWaitStrategy(Wait.forHealthCheck());
  }
}

/** A container of a stage, and what can be done to it. */
export class Member {
  readonly #client: ContainerRuntimeClient;
  readonly #container: DockerContainer;
  readonly #options: MemberOptions;

  private constructor(client: ContainerRuntimeClient, id: string, options: MemberOptions) {
    this.#client = client;
    this.#container = client.container.getById(id);
    this.#options = options;
  }

  /** Starts it and waits until it is up; ours: until it is healthy. */
  static async start(options: MemberOptions): Promise<Member> {
    const started = await new HardenedContainer(options).start();
    return new Member(await getContainerRuntimeClient(), started.getId(), options);
  }

  /** Port on 127.0.0.1 where a port of it is now; undefined while it is nowhere. */
  async port(inside: number): Promise<number | undefined> {
    const { NetworkSettings } = await this.#container.inspect();
    const text = NetworkSettings.Ports[`${inside}/tcp`]?.[0]?.HostPort;
    return text === undefined || text === "" ? undefined : Number(text);
  }

  /** Everything that it has written so far, of all its lives. */
  async output(): Promise<string> {
    return (await this.#container.logs({ stdout: true, stderr: true })).toString();
  }

  /** SIGKILL, and its end. */
  async kill(): Promise<void> {
    const ended = this.#container.wait() as Promise<unknown>;
    await this.#container.kill();
    await ended;
  }

  /** After `kill` or `stop`: a new life in the same container. */
  async revive(): Promise<void> {
    await this.#container.start();
  }

  /** SIGTERM, and its end. */
  async stop(): Promise<void> {
    await this.#container.stop({ t: STOP_LIMIT_S });
  }

  /** Its processes stand still. Tried again: an engine may fail to freeze a container that is just starting a process. */
  async pause(): Promise<void> {
    let reason = "";
    const hasPaused = async (): Promise<boolean> => {
      try {
        await this.#container.pause();
        return true;
      } catch (error) {
        reason = String(error);
        return false;
      }
    };
    await until("the container to be paused", hasPaused, START_LIMIT_MS, () => reason);
  }

  async unpause(): Promise<void> {
    await this.#container.unpause();
  }

  /** Off its network, as when a cable is pulled: nobody is told. */
  async leave(): Promise<void> {
    await this.#network.disconnect({ Container: this.#container.id });
  }

  /** Back on its network, under its own name or another one. */
  async join(alias = this.#options.alias): Promise<void> {
    const EndpointConfig = alias === undefined ? {} : { Aliases: [alias] };
    await this.#network.connect({ Container: this.#container.id, EndpointConfig });
  }

  get #network(): ReturnType<ContainerRuntimeClient["network"]["getById"]> {
    return this.#client.network.getById(this.#options.network);
  }

  async remove(): Promise<void> {
    await this.#container.remove({ force: true, v: true });
  }
}
