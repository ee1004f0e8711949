import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { MqttBus } from "@canfleet/sdk";
import { getContainerRuntimeClient } from "testcontainers";
import { Fleet } from "../e2e/support/fleet.ts";
import { until } from "../e2e/support/until.ts";
import { Ledger } from "../faults/ledger.ts";
import { Door } from "./door.ts";
import { OWNER_LABEL, REPOSITORY } from "./engine.ts";
import { Member, type MemberOptions } from "./member.ts";

const LIMIT_MS = 120_000;
const MQTT_PORT = 1883;
/** 200 frames/s for longer than any test takes. */
const LOAD_PERIOD_US = 5_000;
const LOAD_FRAMES = 200_000;
/** The end of an edge in its own words. */
const LAST_WORDS = /ends: can0 (\d+) received/g;
/** What an edge reads after a fault before the balance is drawn. */
const FRAMES_AFTER = 200;
const BALANCED = { unexplained: 0, twice: 0, disordered: 0, wrong: 0 };

export interface EdgeMember {
  name: string;
  member: Member;
  /** Earlier lives: how many frames each of them read, by its own account. */
  past: { epoch: number; produced: number }[];
}

export interface Balance {
  produced: number;
  delivered: number;
  lost: number;
  unexplained: number;
  twice: number;
  disordered: number;
}

let loadFile: string | undefined;

/** A log whose n-th frame carries n, as a number of 64 bits: each edge of a stage plays it. */
function numberedLog(): string {
  if (loadFile !== undefined) return loadFile;
  const folder = mkdtempSync(join(tmpdir(), "canfleet-containers-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const number = Buffer.alloc(8);
  const lines = Array.from({ length: LOAD_FRAMES }, (_, i) => {
    number.writeDoubleBE(i);
    return `(${(1_700_000_000 + (i * LOAD_PERIOD_US) / 1e6).toFixed(6)}) can0 100#${number.toString("hex").toUpperCase()}\n`;
  });
  loadFile = join(folder, "load.log.gz");
  writeFileSync(loadFile, gzipSync(lines.join("")), { mode: 0o644 });
  return loadFile;
}

/** A network of its own with a broker, edges, and a subscriber on this machine that keeps the account of all frames. */
export class Stage {
  readonly ledger = new Ledger();
  readonly edges: EdgeMember[] = [];
  readonly network: string;
  /** Whose MQTT port the subscriber is taken to. */
  broker: Member | undefined;
  fleet!: Fleet;
  readonly #endings: (() => Promise<unknown>)[] = [];

  private constructor(network: string) {
    this.network = network;
  }

  /** @param broker the first container: it is called `hub` on the network */
  static async start(broker: Partial<MemberOptions> = {}): Promise<Stage> {
    const client = await getContainerRuntimeClient();
    const network = await client.network.create({
      Name: `canfleet-${process.pid}-${Math.random().toString(36).slice(2, 10)}`,
      Labels: { [OWNER_LABEL]: String(process.pid) },
    });
    const stage = new Stage(network.id);
    stage.#endings.push(() => network.remove());
    try {
      stage.broker = await stage.#add({ ...HUB, alias: "hub", ...broker });
      const door = await Door.open(async () => stage.broker?.port(MQTT_PORT));
      stage.#endings.unshift(() => door.close());
      await stage.#subscribe(`mqtt://${door.address}`);
      return stage;
    } catch (error) {
      await stage.end();
      throw error;
    }
  }

  async #subscribe(url: string): Promise<void> {
    // What is slow here is the machine: nothing is given up because of it.
    const patience = { connectTimeoutMs: LIMIT_MS, giveUpMs: LIMIT_MS, awayMs: LIMIT_MS };
    const bus = await MqttBus.connect(url, { edge: "+", bus: "can0", order: "complete", ...patience });
    this.#endings.unshift(() => bus.shutdown());
    bus.on("batch", (batch, { channel }) => this.ledger.delivered(batch, channel));
    bus.on("loss", (loss) => this.ledger.lost(loss));
    bus.on("error", (error) => console.error(error));
    this.fleet = await Fleet.connect(url);
    this.#endings.unshift(() => this.fleet.close());
  }

  async #add(options: Omit<MemberOptions, "network">): Promise<Member> {
    const member = await Member.start({ ...options, network: this.network });
    this.#endings.unshift(() => member.remove());
    return member;
  }

  /** One more hub, without a name on the network. */
  startHub(options: Partial<MemberOptions> = {}): Promise<Member> {
    return this.#add({ ...HUB, ...options });
  }

  /** An edge whose bus is the numbered log; it knows its broker as `hub`. Its spool outlives the life of its container. */
  async startEdge(name: string): Promise<EdgeMember> {
    const log = "/load.log.gz";
    const member = await this.#add({
      image: "canfleet-edge:test",
      alias: name,
      command: [
        "edge",
        `play:${log}=can0`,
        "--name",
        name,
        "--hub",
        `mqtt://hub:${MQTT_PORT}`,
        "--spool",
        "/data/spool",
      ],
      files: { [numberedLog()]: log },
    });
    const edge: EdgeMember = { name, member, past: [] };
    this.edges.push(edge);
    await this.fleet.ready(name, "can0");
    return edge;
  }

  /** Waits until an edge has read `frames` more than it says now. */
  async makes(edge: EdgeMember, frames: number): Promise<void> {
    const { epoch, seq } = await this.#status(edge);
    await this.#status(edge, (now) => now.epoch !== epoch || now.seq >= seq + frames);
  }

  /** The edge's own account of its present life, once it is as wanted. Works while it has a broker. */
  async #status(edge: EdgeMember, isWanted: (status: Life) => boolean = () => true): Promise<Life> {
    const told = edge.past.map(({ epoch }) => epoch);
    let life: Life | undefined;
    await until(
      `the status of ${edge.name}`,
      () => {
        const { epoch, seq } = this.fleet.report(`${edge.name}/can0/status`) ?? {};
        if (epoch === undefined || seq === undefined || told.includes(epoch)) return false;
        life = { epoch, seq };
        return isWanted(life);
      },
      LIMIT_MS,
      () => JSON.stringify({ life, told }),
    );
    return life!;
  }

  /** Ends an edge with SIGTERM and takes down what it read. */
  async endEdge(edge: EdgeMember): Promise<void> {
    const { epoch } = await this.#status(edge);
    await edge.member.stop();
    const output = await edge.member.output();
    const words = [...output.matchAll(LAST_WORDS)];
    assert.equal(
      words.length,
      edge.past.length + 1,
      `each life of ${edge.name} ends in words:\n${output.slice(-2_000)}`,
    );
    edge.past.push({ epoch, produced: Number(words.at(-1)![1]) });
  }

  /**
   * Waits until each edge has read some more frames than it last said, and everything up to there is accounted for. Prints
   * the balance.
   *
   * @throws AssertionError when it does not balance
   */
  async settle(id: string): Promise<Balance> {
    await Promise.all(this.edges.map((edge) => this.makes(edge, FRAMES_AFTER)));
    const lives = await Promise.all(this.edges.map((edge) => this.#status(edge)));
    const look = (): Balance => this.#balance(lives);
    await until("everything to be accounted for", () => look().unexplained === 0, LIMIT_MS).catch(() => undefined);
    const balance = look();
    const { produced, delivered, lost, unexplained, twice, disordered } = balance;
    console.log(
      `${id} produced ${produced} delivered ${delivered} lost-counted ${lost} ` +
        `unexplained ${unexplained} twice ${twice} disordered ${disordered}`,
    );
    assert.deepEqual({ unexplained, twice, disordered, wrong: this.ledger.wrong }, BALANCED);
    return balance;
  }

  #balance(lives: Life[]): Balance {
    const { twice, disordered } = this.ledger;
    const balance: Balance = { produced: 0, delivered: 0, lost: 0, unexplained: 0, twice, disordered };
    this.edges.forEach(({ name, past }, i) => {
      const present = { epoch: lives[i]!.epoch, produced: lives[i]!.seq };
      for (const { epoch, produced } of [...past, present]) {
        const { delivered, lost, unexplained } = this.ledger.account(`${name}/can0`, epoch, produced);
        balance.produced += produced;
        balance.delivered += delivered;
        balance.lost += lost;
        balance.unexplained += unexplained;
      }
    });
    return balance;
  }

  /** Removes everything, the newest first. */
  async end(): Promise<void> {
    for (const end of this.#endings.splice(0)) await end();
  }
}

interface Life {
  epoch: number;
  /** Frames that were numbered so far. */
  seq: number;
}

const HUB = {
  image: "canfleet-hub:test",
  command: ["hub", "--insecure-lan"],
  ports: [MQTT_PORT],
};

/** Debian's or the official Mosquitto with the configuration of containers/mosquitto.yaml. */
export const MOSQUITTO: Partial<MemberOptions> = {
  image: "eclipse-mosquitto:2",
  command: ["/usr/sbin/mosquitto", "-c", "/etc/mosquitto.conf"],
  files: { [join(REPOSITORY, "containers/mosquitto.conf")]: "/etc/mosquitto.conf" },
  isOurs: false,
};
