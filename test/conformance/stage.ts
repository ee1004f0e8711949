import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hub } from "@canfleet/hub";
import { freePort } from "../e2e/support/port.ts";
import { until } from "../e2e/support/until.ts";
import { connect, DISCONNECT, publish, pubrel, subscribe, type ConnectOptions, type Part } from "./packets.ts";
import { Peer } from "./peer.ts";

const MOSQUITTO = "/usr/sbin/mosquitto";

/** A broker that the cases run against. */
export interface Target {
  name: "hub" | "mosquitto";
  port: number;
  webSocketUrl: string;
  close(): Promise<void>;
}

/** What is asserted of a statement: `run` throws an AssertionError where the broker does otherwise. */
export interface Case {
  /** Number of the statement, as the standard has it. */
  statement: `MQTT-${string}`;
  title: string;
  run(stage: Stage): Promise<void>;
  /** Brokers that do otherwise, and why; it is asserted that they do. */
  hub?: { deviates: string };
  mosquitto?: { deviates: string };
}

export async function startHub(): Promise<Target> {
  const local = { host: "127.0.0.1", port: 0 };
  // The standard knows neither limit; the defaults are for a hub that strangers reach.
  const limits = { maxTopicBytes: 65_535, retainTopics: ["#"] };
  const hub = await Hub.start({ listen: local, http: local, limits });
  return {
    name: "hub",
    port: Number(new URL(hub.mqttUrl).port),
    webSocketUrl: hub.httpUrl!.replace("http:", "ws:") + "/mqtt",
    close: () => hub.close(),
  };
}

/** Why there is no Mosquitto on this machine; undefined when there is one. */
export function mosquittoMissing(): string | undefined {
  return existsSync(MOSQUITTO) ? undefined : `${MOSQUITTO} is not installed`;
}

/** Debian's Mosquitto as it comes, for everybody, on two free ports. */
export async function startMosquitto(): Promise<Target> {
  const [port, webSocketPort] = [await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), "canfleet-mosquitto-"));
  const config = join(folder, "mosquitto.conf");
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nlistener ${webSocketPort} 127.0.0.1\nprotocol websockets\n` +
      "allow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_type none\n",
  );
  const broker = spawn(MOSQUITTO, ["-c", config], { stdio: "ignore" });
  const ended = once(broker, "exit");
  for (const listening of [port, webSocketPort]) {
    await until("mosquitto to listen", async () => {
      assert.equal(broker.exitCode, null, "mosquitto ended");
      return isListening(listening);
    });
  }
  return {
    name: "mosquitto",
    port,
    webSocketUrl: `ws://127.0.0.1:${webSocketPort}`,
    close: async () => {
      broker.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connectTcp(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** One case against one broker: names of its own, and peers that end with it. */
export class Stage {
  readonly #target: Target;
  readonly #prefix: string;
  readonly #peers: Peer[] = [];
  #markers = 0;

  constructor(target: Target, prefix: string) {
    this.#target = target;
    this.#prefix = prefix;
  }

  get webSocketUrl(): string {
    return this.#target.webSocketUrl;
  }

  /** A topic or filter that is this case's alone. */
  topic(name: string): string {
    return `${this.#prefix}/${name}`;
  }

  /** A client id that is this case's alone. */
  id(name = "c"): string {
    return `${this.#prefix}${name}`;
  }

  /** A connection on which nothing was said yet. */
  async open(): Promise<Peer> {
    const peer = await Peer.overTcp(this.#target.port);
    this.#peers.push(peer);
    return peer;
  }

  async openWebSocket(): Promise<Peer> {
    const peer = await Peer.overWebSocket(this.#target.webSocketUrl);
    this.#peers.push(peer);
    return peer;
  }

  /** A connection that was accepted, by default with a clean session. */
  async join(options: ConnectOptions = {}, present = 0): Promise<Peer> {
    const peer = await this.open();
    peer.send(connect(options));
    await peer.expect(`CONNACK present=${present} code=0`);
    return peer;
  }

  /** The same, subscribed to filters and QoS by turns. */
  async subscribed(filters: Part[], options: ConnectOptions = {}): Promise<Peer> {
    const peer = await this.join(options);
    const granted = filters.filter((_, at) => at % 2 === 1);
    peer.send(subscribe(9, ...filters));
    await peer.expect(`SUBACK 9: ${granted.join(" ")}`);
    return peer;
  }

  /**
   * The subscriber has got all that was published to it before: it gets a message that is published now, and nothing
   * before that one.
   */
  async expectNothingPublished(subscriber: Peer, publisher?: Peer): Promise<void> {
    const topic = this.topic(`marker${++this.#markers}`);
    subscriber.send(subscribe(65_000, topic, 0));
    await subscriber.expect("SUBACK 65000: 0");
    (publisher ?? (await this.join())).send(publish(topic, "marker"));
    await subscriber.expect(`PUBLISH q0 ${topic} marker`);
  }

  /** Publishes with QoS 2 and finishes the handshake. */
  async publishOnce(topic: string, payload: string, retain = false): Promise<Peer> {
    const publisher = await this.join();
    publisher.send(publish(topic, payload, { qos: 2, id: 8, retain }));
    await publisher.expect("PUBREC 8");
    publisher.send(pubrel(8));
    await publisher.expect("PUBCOMP 8");
    return publisher;
  }

  /** Leaves with a DISCONNECT and waits until the broker has ended the connection. */
  async leave(peer: Peer): Promise<void> {
    peer.send(DISCONNECT);
    await peer.expect("closed");
    await peer.drop();
  }

  async end(): Promise<void> {
    for (const peer of this.#peers) await peer.drop();
  }
}
