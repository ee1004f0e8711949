import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { HubConnection, MqttBus, type HubConnectionOptions } from "@canfleet/sdk";
import { canfleet, runCanfleet, startHub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { freePort } from "./support/port.ts";
import { Program } from "./support/program.ts";
import { PATIENCE_MS, until } from "./support/until.ts";

const WILL = { topic: "canfleet/pi/state", payload: JSON.stringify({ state: "offline", session: 1 }), retain: true };

describe("a client that knows several hubs", () => {
  after(() => Program.killAll());

  async function connect(urls: string[], options: HubConnectionOptions = {}): Promise<HubConnection> {
    const connection = new HubConnection(urls, { will: () => WILL, ...options });
    await connection.ready(PATIENCE_MS);
    return connection;
  }

  it("leaves one that answers nothing any more, and whose will then speaks there", async (t) => {
    const [first, second] = [await startHub(), await startHub()];
    const reasons: string[] = [];
    const connection = await connect([first.url, second.url], {
      keepaliveSeconds: 1,
      onDisconnect: (reason) => reasons.push(reason),
    });
    t.after(() => connection.close());
    assert.equal(connection.url, first.url);
    first.program.signal("SIGSTOP");
    await until("the other hub", () => connection.isConnected && connection.url === second.url);
    assert.deepEqual(reasons, ["Keepalive timeout"]);
    first.program.signal("SIGCONT");
    const there = await Fleet.connect(first.url);
    t.after(() => there.close());
    await there.until("pi/state", ({ state }) => state === "offline");
    assert.equal(connection.url, second.url);
  });

  it("goes back to the first one after the time that was set for it, not before that answers", async (t) => {
    const port = await freePort();
    const second = await startHub();
    const firstUrl = `mqtt://127.0.0.1:${port}`;
    const received: string[] = [];
    const connection = await connect([firstUrl, second.url], {
      returnAfterMs: 200,
      onMessage: (topic, payload) => received.push(`${topic} ${new TextDecoder().decode(payload)}`),
    });
    t.after(() => connection.close());
    assert.equal(connection.url, second.url);
    await connection.subscribe(["greeting"], 0);
    const there = await Fleet.connect(second.url);
    t.after(() => there.close());
    const first = await startHub(port);
    assert.equal(first.url, firstUrl);
    await until("the first hub", () => connection.isConnected && connection.url === firstUrl);
    await there.until("pi/state", ({ state }) => state === "offline");
    // Its subscriptions came along.
    await until("a message", () => {
      connection.publish("greeting", "hello");
      return received.includes("greeting hello");
    });
  });

  it("is an edge, a command and a program, by repeated flags or a list", async (t) => {
    const nobody = `mqtt://127.0.0.1:${await freePort()}`;
    const hub = await startHub();
    canfleet("edge", "sim:car=can0", "--name", "car", "--hub", nobody, "--hub", hub.url);
    const fleet = await Fleet.connect(hub.url);
    t.after(() => fleet.close());
    await fleet.ready("car", "can0");
    const dump = await runCanfleet("dump", "car/can0", "-n", "3", "--hub", nobody, "--hub", hub.url);
    assert.equal(dump.ended, 0, dump.stderr);
    assert.equal(dump.lines.length, 3);
    const bus = await MqttBus.connect([nobody, hub.url], {
      edge: "car",
      bus: "can0",
      connectTimeoutMs: PATIENCE_MS,
    });
    assert.ok(await bus.recv({ timeoutMs: PATIENCE_MS }));
    await bus.shutdown();
  });

  it("says which hubs it tried when none answers", async () => {
    const urls = [`mqtt://127.0.0.1:${await freePort()}`, `mqtt://127.0.0.1:${await freePort()}`];
    const connection = new HubConnection(urls);
    await assert.rejects(connection.ready(300), { code: "HUB_UNREACHABLE", message: new RegExp(urls.join(", ")) });
    await connection.close();
  });
});
