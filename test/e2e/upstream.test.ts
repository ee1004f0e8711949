import assert from "node:assert/strict";
import { after, describe, it, type TestContext } from "node:test";
import { HubConnection, Message, MqttBus } from "@canfleet/sdk";
import { Hub } from "@canfleet/hub";
import { canfleet, startHub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { freePort } from "./support/port.ts";
import { Program } from "./support/program.ts";
import { PATIENCE_MS, until } from "./support/until.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };
const STATE = "canfleet/pi/state";

describe("a hub with a hub above", () => {
  after(() => Program.killAll());

  async function startBelow(t: TestContext, upstream: string): Promise<Hub> {
    const hub = await Hub.start({ listen: LOCAL, http: LOCAL, upstream });
    t.after(() => hub.close());
    await until("the hub above", async () => (await metric(hub, "canfleet_hub_upstream_up")) === 1);
    return hub;
  }

  async function client(t: TestContext, url: string): Promise<HubConnection> {
    const connection = new HubConnection(url);
    t.after(() => connection.close());
    await connection.ready(PATIENCE_MS);
    return connection;
  }

  it("shows its edges there, and brings down what is asked of them", async (t) => {
    const above = await startHub();
    const below = await startBelow(t, above.url);
    const edge = canfleet("edge", "sim:boat=can0", "--name", "boat", "--send", "7F0", "--hub", below.mqttUrl);
    const fleet = await Fleet.connect(above.url);
    t.after(() => fleet.close());
    await fleet.ready("boat", "can0");
    const bus = await MqttBus.connect(above.url, { edge: "boat", bus: "can0", connectTimeoutMs: PATIENCE_MS });
    t.after(() => bus.shutdown());
    assert.ok(await bus.recv({ timeoutMs: PATIENCE_MS }));
    const send = (arbitrationId: number): Promise<unknown> =>
      bus.send(new Message({ arbitrationId, data: [1] }), { confirm: true, ttlMs: PATIENCE_MS });
    await send(0x7f0);
    await assert.rejects(send(0x123), { code: "SEND_DENIED" });
    await until("acknowledgements on their way down", async () => {
      return (await metric(below, 'canfleet_hub_upstream_messages_total{direction="down"}')) > 4;
    });
    await edge.stop("SIGKILL");
    await fleet.until("boat/state", ({ state }) => state === "offline");
  });

  it("says everything again to a hub above that has lost it", async (t) => {
    const port = await freePort();
    const first = await startHub(port);
    const below = await startBelow(t, first.url);
    const pi = await client(t, below.mqttUrl);
    pi.publish(STATE, JSON.stringify({ state: "online", session: 5 }), { qos: 1, retain: true });
    await seenAbove(t, first.url, ({ state }) => state === "online");
    await first.program.stop("SIGKILL");
    const second = await startHub(port);
    await seenAbove(t, second.url, ({ state, session }) => state === "online" && session === 5);
  });

  it("lets no late will hide an edge that went over to its neighbour", async (t) => {
    const above = await startHub();
    const [left, right] = [await startBelow(t, above.url), await startBelow(t, above.url)];
    const [atLeft, atRight] = [await client(t, left.mqttUrl), await client(t, right.mqttUrl)];
    const say = (connection: HubConnection, state: string, session: number): boolean =>
      connection.publish(STATE, JSON.stringify({ state, session }), { qos: 1, retain: true });
    say(atLeft, "online", 1);
    await seenAbove(t, above.url, ({ session }) => session === 1);
    say(atRight, "online", 2);
    await seenAbove(t, above.url, ({ session }) => session === 2);
    // Even one that has come through: the neighbour, where the edge is online, says so again.
    say(await client(t, above.url), "offline", 1);
    say(atLeft, "offline", 1);
    // What a hub hears in this order goes up in this order.
    atLeft.publish("canfleet/pi/info", "{}", { qos: 1, retain: true });
    const fleet = await Fleet.connect(above.url);
    t.after(() => fleet.close());
    await fleet.until("pi/info", () => true);
    await seenAbove(t, above.url, ({ state, session }) => state === "online" && session === 2);
  });

  it("forwards nothing in a ring of hubs, and says which", async (t) => {
    const ports = [await freePort(), await freePort()];
    const urls = ports.map((port) => `mqtt://127.0.0.1:${port}`);
    const programs = ports.map((port, i) =>
      canfleet("hub", "--listen", `127.0.0.1:${port}`, "--http", "off", "--upstream", urls[1 - i]!),
    );
    for (const program of programs) await program.said(/hubs form a ring, nothing is forwarded: \S+ → mqtt:/);
    const [near, far] = [await client(t, urls[0]!), await client(t, urls[1]!)];
    const heard: string[] = [];
    const listener = new HubConnection(urls[1]!, { onMessage: (topic) => heard.push(topic) });
    t.after(() => listener.close());
    await listener.ready(PATIENCE_MS);
    await listener.subscribe(["canfleet/pi/#"], 0);
    near.publish("canfleet/pi/ping", "{}");
    near.publish(STATE, JSON.stringify({ state: "online", session: 1 }), { qos: 1, retain: true });
    far.publish("canfleet/pi/info", "{}", { qos: 1 });
    await until("what was said here", () => heard.includes("canfleet/pi/info"));
    assert.deepEqual(heard, ["canfleet/pi/info"]);
  });
});

/** Waits until a client that comes now is given such a state of the edge. */
async function seenAbove(
  t: TestContext,
  url: string,
  wanted: (report: { state?: string; session?: number }) => boolean,
): Promise<void> {
  const fleet = await Fleet.connect(url);
  t.after(() => fleet.close());
  await fleet.until("pi/state", wanted);
}

async function metric(hub: Hub, name: string): Promise<number> {
  const text = await (await fetch(`${hub.httpUrl}/metrics`)).text();
  const line = text.split("\n").find((found) => found.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}
