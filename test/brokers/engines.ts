import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canfleet, startHub } from "../e2e/support/canfleet.ts";
import { Fleet } from "../e2e/support/fleet.ts";
import { freePort } from "../e2e/support/port.ts";
import { Program } from "../e2e/support/program.ts";
import { until } from "../e2e/support/until.ts";

const NATS = "/usr/sbin/nats-server";
const MOSQUITTO = "/usr/sbin/mosquitto";
const NODES = 3;
/** How often a cluster is started when another program takes a port that was free a moment ago. */
const ATTEMPTS = 5;

/** Something that speaks MQTT, with a hub that shows its fleet. */
export interface Engine {
  /** Where MQTT clients connect: nodes of one broker. */
  urls: string[];
  /** The hub's page. */
  httpUrl: string;
}

/** A broker that is not ours. */
export interface Broker {
  urls: string[];
  /** SIGKILL to the node with the first address; one that is alone comes back. */
  fail(): Promise<void>;
}

/** The hub with the broker inside. */
export async function startEmbedded(): Promise<Engine> {
  const { url, httpUrl } = await startHub();
  return { urls: [url], httpUrl };
}

/** A hub process that uses a broker. */
export async function startHubOn({ urls }: Broker): Promise<Engine> {
  const port = await freePort();
  const brokers = urls.flatMap((url) => ["--broker", url]);
  const program = canfleet("hub", ...brokers, "--http", `127.0.0.1:${port}`);
  const httpUrl = `http://127.0.0.1:${port}`;
  await program.until("a hub that has its broker", async () => isHealthy(httpUrl));
  return { urls, httpUrl };
}

async function isHealthy(httpUrl: string): Promise<boolean> {
  const answer = await fetch(`${httpUrl}/readyz`).catch(() => undefined);
  return answer?.ok === true;
}

/** Debian's Mosquitto, for everybody on this machine. */
export async function startMosquitto(): Promise<Broker> {
  const port = await freePort();
  const config = join(folder(), `mosquitto-${port}.conf`);
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n`);
  const start = async (): Promise<Program> => {
    const program = Program.start(MOSQUITTO, ["-c", config]);
    await program.said(/mosquitto version \S+ running/);
    return program;
  };
  let program = await start();
  const fail = async (): Promise<void> => {
    await program.stop("SIGKILL");
    program = await start();
  };
  return { urls: [`mqtt://127.0.0.1:${port}`], fail };
}

/** Debian's NATS with MQTT and JetStream as a cluster of three. */
export async function startNats(): Promise<Broker> {
  for (let attempt = 1; ; attempt++) {
    const nodes = await startNodes();
    const urls = await Promise.all(nodes.map(mqttUrlOf));
    if (urls.every((url) => url !== undefined)) {
      // Nobody is let in before the nodes have chosen a leader.
      await until("a cluster that answers", () => answers(urls));
      const fail = async (): Promise<void> => {
        await nodes[0]!.stop("SIGKILL");
      };
      return { urls, fail };
    }
    await Promise.all(nodes.map((node) => node.stop("SIGKILL")));
    if (attempt === ATTEMPTS) throw new Error(`no cluster: ${nodes.map(({ stderr }) => stderr).join("\n")}`);
  }
}

async function answers(urls: string[]): Promise<boolean> {
  const fleet = await Fleet.connect(urls).catch(() => undefined);
  await fleet?.close();
  return fleet !== undefined;
}

async function startNodes(): Promise<Program[]> {
  const ports = await Promise.all(Array.from({ length: NODES }, freePort));
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const room = mkdtempSync(join(folder(), "nats-"));
  return ports.map((port, i) => {
    const config = join(room, `${i}.conf`);
    writeFileSync(
      config,
      `server_name: n${i}\nlisten: "127.0.0.1:-1"\njetstream { store_dir: "${room}/${i}" }\n` +
        `cluster { name: fleet, listen: "127.0.0.1:${port}", routes: [${routes}] }\nmqtt { listen: "127.0.0.1:-1" }\n`,
    );
    return Program.start(NATS, ["-c", config]);
  });
}

/** Where a node serves MQTT; undefined when it has ended. */
async function mqttUrlOf(node: Program): Promise<string | undefined> {
  const found = await until(
    "a node of the cluster",
    () => {
      const url = /Listening for MQTT clients on (mqtt:\S+)/.exec(node.stderr)?.[1];
      return (url !== undefined || node.ended !== undefined) && { url: node.ended === undefined ? url : undefined };
    },
    undefined,
    () => node.stderr.slice(-2000),
  );
  return found.url;
}

let made: string | undefined;

/** A folder of this test file, removed when it ends. */
function folder(): string {
  if (made === undefined) {
    const path = mkdtempSync(join(tmpdir(), "canfleet-brokers-"));
    process.on("exit", () => rmSync(path, { recursive: true, force: true }));
    made = path;
  }
  return made;
}
