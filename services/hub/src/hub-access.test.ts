import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { describe, it, type TestContext } from "node:test";
import { connectAsync, type MqttClient } from "mqtt";
import {
  decodeSendRequest,
  encodeBackfillRequest,
  encodeSendReport,
  encodeSendRequest,
  FrameBatch,
  isCanfleetError,
  Message,
  MqttBus,
  type SendRequest,
} from "@canfleet/sdk";
import { EDGE_TOKEN, LOCAL, login, makeDataFolder, READER_TOKEN, startGuardedHub } from "./access.suite.ts";
import { collect, connectClient, until } from "./harness.suite.ts";
import { Hub } from "./hub.ts";

const REFUSED = /[Nn]ot authorized/;

function tryConnect(url: string, options: object): Promise<MqttClient> {
  return connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...options }, false);
}

async function statusOf(
  hub: { httpUrl: string },
  path: string,
  headers: { [name: string]: string } = {},
): Promise<number> {
  const response = await fetch(`${hub.httpUrl}${path}`, { headers, redirect: "manual" });
  await response.arrayBuffer();
  return response.status;
}

/** An edge that executes whatever reaches it. */
async function executingEdge(t: TestContext, url: string): Promise<SendRequest[]> {
  const requests: SendRequest[] = [];
  const edge = await connectClient(t, url, login("pi-7"));
  edge.on("message", (topic, payload) => {
    if (!topic.endsWith("/send")) return;
    const request = decodeSendRequest(payload);
    requests.push(request);
    const timestampsUs = Array.from({ length: request.frames.count }, () => null);
    const report = encodeSendReport({ nonce: request.nonce, results: timestampsUs.map(() => "sent"), timestampsUs });
    edge.publish("canfleet/pi-7/can0/sent", Buffer.from(report));
  });
  await edge.subscribeAsync("canfleet/pi-7/can0/send", { qos: 1 });
  return requests;
}

describe("a hub with access.json", { timeout: 120_000 }, () => {
  it("lets nobody in over MQTT who is not known", async (t) => {
    const hub = await startGuardedHub(t);
    const webSocket = `${hub.httpUrl.replace("http", "ws")}/mqtt`;
    for (const url of [hub.mqttUrl, webSocket]) {
      await assert.rejects(tryConnect(url, {}), REFUSED);
      await assert.rejects(tryConnect(url, { username: "alice", password: "wrong" }), REFUSED);
      await connectClient(t, url, login("bob"));
      await connectClient(t, url, { username: "token", password: READER_TOKEN.token });
    }
    await connectClient(t, webSocket, { wsOptions: { headers: { authorization: `Bearer ${READER_TOKEN.token}` } } });
  });

  it("shows strangers nothing over HTTP but whether it is well", async (t) => {
    const hub = await startGuardedHub(t);
    for (const path of ["/api/fleet", "/api/clients", "/metrics", "/api/none", "/none"]) {
      assert.equal(await statusOf(hub, path), 401, path);
      assert.equal(await statusOf(hub, path, { authorization: "Bearer cft_wrong" }), 401, path);
      assert.equal(await statusOf(hub, path, { authorization: `Bearer ${EDGE_TOKEN.token}` }), 401, path);
    }
    const reader = { authorization: `Bearer ${READER_TOKEN.token}` };
    for (const path of ["/api/fleet", "/api/clients", "/metrics"]) assert.equal(await statusOf(hub, path, reader), 200);
    assert.equal(await statusOf(hub, "/healthz"), 200);
  });

  it("asks at /mqtt for another broker as well", async (t) => {
    const broker = await Hub.start({ listen: LOCAL, http: false });
    t.after(() => broker.close());
    const hub = await startGuardedHub(t, { brokerUrl: broker.mqttUrl });
    const url = `${hub.httpUrl.replace("http", "ws")}/mqtt`;
    await assert.rejects(tryConnect(url, {}), /connect to server|401/);
    await connectClient(t, url, { wsOptions: { headers: { authorization: `Bearer ${READER_TOKEN.token}` } } });
  });

  it("carries the frames that were granted, says who asks, and denies the others itself", async (t) => {
    const hub = await startGuardedHub(t);
    const requests = await executingEdge(t, hub.mqttUrl);
    const alice = await MqttBus.connect(hub.mqttUrl, { edge: "pi-7", bus: "can0", ...login("alice") });
    t.after(() => alice.shutdown());
    await alice.send(new Message({ arbitrationId: 0x123 }), { confirm: true, ttlMs: 30_000 });
    assert.equal(requests[0]?.by, "alice");
    await assert.rejects(alice.send(new Message({ arbitrationId: 0x124 }), { confirm: true, ttlMs: 30_000 }), (error) =>
      isCanfleetError(error, "SEND_DENIED"),
    );
    const mixed = [0x123, 0x200].map((id) =>
      alice.send(new Message({ arbitrationId: id }), { confirm: true, ttlMs: 30_000 }),
    );
    for (const result of await Promise.allSettled(mixed)) assert.equal(result.status, "rejected");
    const forger = await connectClient(t, hub.mqttUrl, login("alice"));
    const frames = new FrameBatch(1);
    frames.push(new Message({ arbitrationId: 0x123 }).toParts());
    const forged = encodeSendRequest(new Uint8Array(16), 1_000, frames, 0, 1, { clock: 7, atUs: 9 }, "somebody-else");
    await forger.publishAsync("canfleet/pi-7/can0/send", Buffer.from(forged), { qos: 1 });
    await until("the forged request has arrived", () => requests.length === 2);
    assert.equal(requests[1]?.by, "alice");
    assert.deepEqual(requests[1].at, { clock: 7, atUs: 9 });
  });

  it("lets a reader ask for what it missed, and for nothing else", async (t) => {
    const hub = await startGuardedHub(t);
    const edge = await connectClient(t, hub.mqttUrl, login("pi-7"));
    const heard = collect(edge);
    await edge.subscribeAsync("canfleet/pi-7/can0/request", { qos: 0 });
    const bob = await connectClient(t, hub.mqttUrl, login("bob"));
    const alice = await connectClient(t, hub.mqttUrl, login("alice"));
    const topic = "canfleet/pi-7/can0/request";
    await bob.publishAsync(topic, '{"id":"1","op":"restart"}', { qos: 1 });
    await bob.publishAsync(topic, encodeBackfillRequest({ id: "2", epoch: 1, from: 0, to: 5 }), { qos: 1 });
    await alice.publishAsync(topic, '{"id":"3","op":"restart"}', { qos: 1 });
    await until("both have arrived", () => heard.length >= 2);
    const ids = heard.map(({ payload }) => (JSON.parse(payload) as { id: string }).id);
    assert.deepEqual(ids.sort(), ["2", "3"]);
  });

  it("publishes the will of whoever may say it, and no other", async (t) => {
    const hub = await startGuardedHub(t);
    const watcher = await connectClient(t, hub.mqttUrl, login("bob"));
    const heard = collect(watcher);
    await watcher.subscribeAsync("canfleet/+/state");
    const will = (payload: string): object => ({
      topic: "canfleet/pi-7/state",
      payload: Buffer.from(payload),
      qos: 1,
      retain: true,
    });
    const liar = await connectClient(t, hub.mqttUrl, { ...login("bob"), will: will("lie") as never });
    liar.stream.destroy();
    await until("the hub has seen it go", async () => {
      const answer = await fetch(`${hub.httpUrl}/api/clients`, {
        headers: { authorization: `Bearer ${READER_TOKEN.token}` },
      });
      return !(await answer.text()).includes(JSON.stringify(liar.options.clientId));
    });
    const edge = await connectClient(t, hub.mqttUrl, { ...login("pi-7"), will: will("gone") as never });
    edge.stream.destroy();
    await until("the edge's will has come", () => heard.some(({ payload }) => payload === "gone"));
    assert.deepEqual(
      heard.map(({ payload }) => payload),
      ["gone"],
    );
  });

  it("gives a kept session to its owner alone", async (t) => {
    const hub = await startGuardedHub(t);
    const kept = { clientId: "kept", clean: false };
    const alice = await connectClient(t, hub.mqttUrl, { ...login("alice"), ...kept });
    await alice.subscribeAsync("canfleet/pi-7/can0/frames", { qos: 1 });
    await alice.endAsync();
    await assert.rejects(tryConnect(hub.mqttUrl, { ...login("bob"), ...kept }), /[Ii]dentifier/);
    await assert.rejects(tryConnect(hub.mqttUrl, { ...login("bob"), clientId: "kept", clean: true }), /[Ii]dentifier/);
    await connectClient(t, hub.mqttUrl, { ...login("alice"), ...kept });
  });

  it("serves those who are in while others guess", async (t) => {
    const hub = await startGuardedHub(t);
    const edge = await connectClient(t, hub.mqttUrl, login("pi-7"));
    const reader = await connectClient(t, hub.mqttUrl, { username: "token", password: READER_TOKEN.token });
    const heard = collect(reader);
    await reader.subscribeAsync("canfleet/pi-7/can0/frames");
    const guesses = Array.from({ length: 40 }, (_, i) =>
      tryConnect(hub.mqttUrl, { username: "alice", password: `guess ${i}` }).then(
        () => "in",
        (error: unknown) => (REFUSED.test(String(error)) ? "looked at" : "turned away"),
      ),
    );
    for (let i = 0; i < 20; i++) await edge.publishAsync("canfleet/pi-7/can0/frames", `${i}`, { qos: 1 });
    const results = await Promise.all(guesses);
    assert.ok(!results.includes("in"));
    assert.ok(results.filter((result) => result === "looked at").length <= 7, results.join());
    await until("every message has come", () => heard.length === 20);
    assert.ok(edge.connected);
  });
});

describe("where a hub may listen", { timeout: 120_000 }, () => {
  const lan = Object.values(networkInterfaces())
    .flat()
    .find((found) => found?.family === "IPv4" && !found.internal)?.address;
  const hosts = ["0.0.0.0", "::", ...(lan === undefined ? [] : [lan])];

  it("stays on this machine while nobody has to say who they are", async (t) => {
    for (const dataDir of [undefined, await makeDataFolder(t, true)]) {
      for (const host of hosts) {
        for (const config of [
          { listen: { host, port: 0 }, http: false as const },
          { listen: LOCAL, http: { host, port: 0 } },
        ]) {
          const start = Hub.start({ ...config, ...(dataDir === undefined ? {} : { dataDir }) });
          await assert.rejects(start, (error) => isCanfleetError(error, "HUB_UNSAFE_ADDRESS"), host);
        }
      }
    }
  });

  it("goes beyond with somebody in access.json, or when it is told to, and says what that means", async (t) => {
    const everywhere = { listen: { host: "0.0.0.0", port: 0 }, http: false as const };
    const cases = [
      [{ dataDir: await makeDataFolder(t) }, /without TLS no password/],
      [{ dataDir: await makeDataFolder(t), insecureLan: true }, /plain text/],
      [{ insecureLan: true }, /open to everybody/],
    ] as const;
    for (const [config, says] of cases) {
      const lines: string[] = [];
      const hub = await Hub.start({
        ...everywhere,
        ...config,
        log: (level, line) => level === "warn" && lines.push(line),
      });
      await hub.close();
      assert.match(lines.join("\n"), says);
    }
  });

  it(
    "takes passwords of other machines only when it is told to",
    { skip: lan === undefined && "no network here" },
    async (t) => {
      for (const insecureLan of [false, true]) {
        const hub = await startGuardedHub(t, { listen: { host: "0.0.0.0", port: 0 }, http: false, insecureLan });
        const url = `mqtt://${lan!}:${new URL(hub.mqttUrl).port}`;
        for (const who of [login("bob"), { username: "token", password: READER_TOKEN.token }]) {
          if (insecureLan) await connectClient(t, url, who);
          else await assert.rejects(tryConnect(url, who), REFUSED);
        }
      }
    },
  );

  it("does not start with a data folder that is not there", async () => {
    await assert.rejects(Hub.start({ listen: LOCAL, http: false, dataDir: "/nowhere/at/all" }), /does not exist/);
  });
});
