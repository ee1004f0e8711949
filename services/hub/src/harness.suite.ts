/** What the hub's tests share: a broker on a free port, MQTT.js clients, and raw sockets for peers that misbehave. */
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { openToAll } from "./authorization.ts";
import { Broker } from "./broker.ts";
import { ConnectionGate } from "./connection-gate.ts";
import { DEFAULT_LIMITS, type HubLimits } from "./limits.ts";
import { listenTcp } from "./listeners.ts";
import type { HubLog } from "./log.ts";

export interface TestBroker {
  broker: Broker;
  gate: ConnectionGate;
  url: string;
  port: number;
}

/** A broker on a free port of 127.0.0.1, closed at the end of the test. */
export async function startBroker(t: TestContext, limits: Partial<HubLimits> = {}): Promise<TestBroker> {
  // Most tests are of what an MQTT broker does with any topic.
  const used = { ...DEFAULT_LIMITS, retainTopics: ["#"], ...limits };
  const log: HubLog = () => undefined;
  const gate = new ConnectionGate(used, log);
  const broker = await Broker.create({ base: "canfleet", limits: used, gate, authorization: openToAll, log });
  const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, broker, { gate, limits: used });
  t.after(async () => {
    await broker.close();
    await listener.close();
  });
  const { port } = listener.address;
  return { broker, gate, port, url: `mqtt://127.0.0.1:${port}` };
}

/** An MQTT.js client that does not reconnect, ended with the test. */
export async function connectClient(t: TestContext, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...options });
  client.on("error", () => undefined);
  t.after(() => client.endAsync(true));
  return client;
}

export interface Received {
  topic: string;
  payload: string;
  qos: number;
  retain: boolean;
}

/** Everything that a client gets from now on. */
export function collect(client: MqttClient): Received[] {
  const received: Received[] = [];
  client.on("message", (topic, payload, { qos, retain }) =>
    received.push({ topic, payload: payload.toString(), qos, retain }),
  );
  return received;
}

/** Waits until something is so; the limit is there to end a test that would never end. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await sleep(10);
  }
}

/** CONNECT of MQTT 3.1.1 with a clean session and no keepalive. */
export function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const body = Buffer.concat([Buffer.from([0, 4, ...Buffer.from("MQTT"), 4, 2, 0, 0, 0, id.length]), id]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** SUBSCRIBE to one filter. */
export function subscribePacket(topicFilter: string, qos: number): Buffer {
  const filter = Buffer.from(topicFilter);
  return Buffer.from([0x82, filter.length + 5, 0, 1, 0, filter.length, ...filter, qos]);
}

/** A raw socket on the broker. */
export async function rawSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connectTcp(port, "127.0.0.1");
  socket.on("error", () => undefined);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** A subscriber that gets its SUBACK and then never reads again. */
export async function frozenSubscriber(
  t: TestContext,
  port: number,
  { id, filter, qos = 0 }: { id: string; filter: string; qos?: number },
): Promise<Socket> {
  const socket = await rawSocket(t, port);
  socket.write(connectPacket(id));
  await once(socket, "data");
  socket.write(subscribePacket(filter, qos));
  await once(socket, "data");
  socket.pause();
  return socket;
}
