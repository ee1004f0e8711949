import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { isCanfleetError } from "@canfleet/sdk";
import WebSocket from "ws";
import { collect, connectClient, until } from "./harness.suite.ts";
import { Hub, type HubConfig } from "./hub.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };
const hasMosquitto = spawnSync("mosquitto_sub", ["--help"]).error === undefined;
const noMosquitto =
  !hasMosquitto && process.env.CANFLEET_REQUIRE_REAL !== "1" ? "mosquitto_sub is not installed" : false;

async function startHub(t: TestContext, config: HubConfig = {}): Promise<Hub & { httpUrl: string }> {
  const hub = await Hub.start({ listen: LOCAL, http: LOCAL, ...config });
  t.after(() => hub.close());
  return hub as Hub & { httpUrl: string };
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A GET that sends the path as it is: `fetch` would tidy up `..` and does not let Host be set. */
async function get(hub: Hub, path: string, headers: { [name: string]: string } = {}, method = "GET"): Promise<Answer> {
  const { hostname, port } = new URL(hub.httpUrl!);
  const sent = request({ hostname, port, path, method, headers, agent: false });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

async function getFleet(hub: Hub): Promise<{ edges: { edge: string; state: string; buses: { bus: string }[] }[] }> {
  return JSON.parse((await get(hub, "/api/fleet")).body) as Awaited<ReturnType<typeof getFleet>>;
}

describe("the hub", { timeout: 60_000 }, () => {
  it("names the address that another program has", async (t) => {
    const other = createServer().listen(0, "127.0.0.1");
    t.after(() => other.close());
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const taken = { host: "127.0.0.1", port };
    for (const config of [
      { listen: taken, http: false },
      { listen: LOCAL, http: taken },
    ] as const) {
      await assert.rejects(Hub.start(config), (error) => {
        assert.ok(isCanfleetError(error, "LINK_PORT_IN_USE"));
        assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
        return true;
      });
    }
  });

  it("refuses limits outside their range, naming the limit", async () => {
    for (const [limits, said] of [
      [{ maxConnections: 1 }, /limit maxConnections: 1 is not a whole number from 10 to 100000/],
      [{ stallMs: Number.NaN }, /limit stallMs/],
      [{ sharedAddresses: ["here"] }, /limit sharedAddresses: .*"here"/],
    ] as const) {
      await assert.rejects(Hub.start({ listen: LOCAL, http: false, limits }), (error) => {
        assert.ok(isCanfleetError(error, "CONFIG_INVALID"));
        assert.match(error.message, said);
        return true;
      });
    }
  });

  it("refuses to listen beyond this machine, unless told to, and then says so", async () => {
    const open = { host: "0.0.0.0", port: 0 };
    for (const config of [
      { listen: open, http: false },
      { listen: LOCAL, http: open },
    ] as const) {
      await assert.rejects(Hub.start(config), (error) => isCanfleetError(error, "HUB_UNSAFE_ADDRESS"));
      const warnings: string[] = [];
      const hub = await Hub.start({
        ...config,
        insecureLan: true,
        log: (level, text) => level === "warn" && warnings.push(text),
      });
      await hub.close();
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /open to everybody/);
    }
  });

  it("carries MQTT over WebSocket", async (t) => {
    const hub = await startHub(t);
    const overWebSocket = await connectClient(t, `${hub.httpUrl.replace("http", "ws")}/mqtt`);
    const overTcp = await connectClient(t, hub.mqttUrl);
    const [seenHere, seenThere] = [collect(overWebSocket), collect(overTcp)];
    await overWebSocket.subscribeAsync("t/#", { qos: 1 });
    await overTcp.subscribeAsync("w/#", { qos: 1 });
    const large = "x".repeat(300_000);
    for (let i = 0; i < 50; i++) {
      overTcp.publish("t/small", `${i}`);
      overWebSocket.publish("w/small", `${i}`);
    }
    overTcp.publish("t/large", large, { qos: 1 });
    overWebSocket.publish("w/large", large, { qos: 1 });
    await until("all are there", () => seenHere.length >= 51 && seenThere.length >= 51);
    for (const seen of [seenHere, seenThere]) {
      assert.deepEqual(
        seen.map(({ payload }) => payload),
        [...Array.from({ length: 50 }, (_, i) => `${i}`), large],
      );
    }
  });

  it("sends one WebSocket frame for what was published in one go", async (t) => {
    const hub = await startHub(t);
    const socket = new WebSocket(`${hub.httpUrl.replace("http", "ws")}/mqtt`, "mqtt");
    t.after(() => socket.terminate());
    await once(socket, "open");
    socket.send(Buffer.from("101000044d51545404020000000466726d65", "hex")); // CONNECT
    await once(socket, "message");
    socket.send(Buffer.from("8206" + "0001" + "000166" + "00", "hex")); // SUBSCRIBE f
    await once(socket, "message");
    let frames = 0;
    let bytes = 0;
    socket.on("message", (data: Buffer) => {
      frames++;
      bytes += data.length;
    });
    const publisher = await connectClient(t, hub.mqttUrl);
    // One write of the socket: a turn of the event loop sees them all.
    publisher.stream.cork();
    for (let i = 0; i < 100; i++) publisher.publish("f", "12345");
    publisher.stream.uncork();
    await until("all are there", () => bytes >= 100 * 10);
    assert.ok(frames < 20, `${frames} frames for 100 messages`);
  });

  it("opens no WebSocket to pages of other sites", async (t) => {
    const hub = await startHub(t);
    const url = `${hub.httpUrl.replace("http", "ws")}/mqtt`;
    for (const options of [{ origin: "http://evil.example" }, { headers: { host: "evil.example" } }]) {
      const socket = new WebSocket(url, "mqtt", options);
      const [error] = (await once(socket, "error")) as [Error];
      assert.match(error.message, /403/);
    }
    const own = new WebSocket(url, "mqtt", { origin: hub.httpUrl });
    await once(own, "open");
    own.terminate();
  });

  it("answers with security headers, only under its own name, and only files of the page", async (t) => {
    const hub = await startHub(t);
    const page = await get(hub, "/");
    assert.match(page.headers["content-security-policy"] as string, /default-src 'none'/);
    assert.equal(page.headers["x-content-type-options"], "nosniff");
    assert.equal((await get(hub, "/", { host: "evil.example" })).status, 421);
    for (const path of ["/../hub.js", "/%2e%2e/hub.js", "/..%2fhub.js", "//etc/passwd", "/page", "/constructor"]) {
      assert.equal((await get(hub, path)).status, 404, path);
    }
    assert.equal((await get(hub, "/healthz", {}, "POST")).status, 405);
    const head = await get(hub, "/healthz", {}, "HEAD");
    assert.deepEqual([head.status, head.body], [200, ""]);
  });

  it("shows the fleet, the clients and its metrics", async (t) => {
    const hub = await startHub(t);
    const edge = await connectClient(t, hub.mqttUrl, { clientId: "the-edge" });
    const put = (topic: string, value: unknown): Promise<unknown> =>
      edge.publishAsync(`canfleet/${topic}`, JSON.stringify(value), { qos: 1, retain: true });
    await put("pi-7/state", { state: "online", session: 1 });
    await put("pi-7/can0/status", { state: "up", frames: { received: 9, sent: 0 }, lost: {} });
    let fleet = await getFleet(hub);
    while (!fleet.edges[0]?.buses[0]) fleet = await getFleet(hub);
    assert.deepEqual(
      fleet.edges.map(({ edge, state, buses }) => [edge, state, buses.map(({ bus }) => bus)]),
      [["pi-7", "online", ["can0"]]],
    );
    const { clients } = JSON.parse((await get(hub, "/api/clients")).body) as { clients: { id: string }[] };
    assert.ok(clients.some(({ id }) => id === "the-edge"));
    const metrics = (await get(hub, "/metrics")).body;
    assert.match(metrics, /^canfleet_hub_connections 3$/m);
    assert.match(metrics, /^canfleet_hub_received_messages_total 2$/m);
    assert.match(metrics, /^canfleet_bus_frames_total\{edge="pi-7",bus="can0",direction="received"\} 9$/m);
    assert.equal((await get(hub, "/healthz")).status, 200);
    assert.equal((await get(hub, "/readyz")).status, 200);
    assert.match(metrics, /^canfleet_hub_ready 1$/m);
  });

  it("serves page and fleet of another broker, and says when that is away", async (t) => {
    const other = await Hub.start({ listen: LOCAL, http: false });
    t.after(() => other.close());
    const hub = await startHub(t, { brokerUrl: other.mqttUrl });
    const edge = await connectClient(t, other.mqttUrl);
    await edge.publishAsync("canfleet/pi-9/state", '{"state":"online"}', { qos: 1, retain: true });
    let fleet = await getFleet(hub);
    while (!fleet.edges[0]) fleet = await getFleet(hub);
    assert.equal(fleet.edges[0].edge, "pi-9");
    const overWebSocket = await connectClient(t, `${hub.httpUrl.replace("http", "ws")}/mqtt`);
    const seen = collect(overWebSocket);
    await overWebSocket.subscribeAsync("canfleet/#");
    await until("the retained state came through", () => seen.length === 1);
    await until("it is ready", async () => (await get(hub, "/readyz")).status === 200);
    await other.close();
    await until("it says so", async () => (await get(hub, "/readyz")).status === 503);
    assert.equal((JSON.parse((await get(hub, "/readyz")).body) as { status: string }).status, "broker unreachable");
    assert.equal((await get(hub, "/healthz")).status, 200, "a restart would not help");
    assert.match((await get(hub, "/metrics")).body, /^canfleet_hub_ready 0$/m);
    assert.match((await get(hub, "/metrics")).body, /^canfleet_hub_broker_up 0$/m);
  });

  it("finds that nothing stands still while its broker answers, and that its broker does when it does not", async (t) => {
    const hub = await startHub(t);
    const inFront = await startHub(t, { brokerUrl: hub.mqttUrl });
    assert.equal(await hub.standstill(), undefined);
    assert.doesNotMatch((await get(hub, "/metrics")).body, /^canfleet_hub_refused_total\{.*\} [1-9]/m);
    await hub.close();
    assert.match((await hub.standstill()) ?? "", /not reachable|not connected|closed|unreachable|reach/);
    assert.equal(await inFront.standstill(), undefined, "another broker is no fault of the hub");
  });

  it("closes with clients connected, and frees its ports", async (t) => {
    const hub = await Hub.start({ listen: LOCAL, http: LOCAL });
    await connectClient(t, hub.mqttUrl);
    await connectClient(t, `${hub.httpUrl!.replace("http", "ws")}/mqtt`);
    await hub.close();
    await hub.close();
    const again = await Hub.start({
      listen: { host: "127.0.0.1", port: Number(new URL(hub.mqttUrl).port) },
      http: { host: "127.0.0.1", port: Number(new URL(hub.httpUrl!).port) },
    });
    await again.close();
  });

  it("works with mosquitto's clients", { skip: noMosquitto }, async (t) => {
    const hub = await startHub(t, { limits: { retainTopics: ["m/#"] } });
    const { port } = new URL(hub.mqttUrl);
    const publish = (...args: string[]): Promise<unknown> =>
      promisify(execFile)("mosquitto_pub", ["-h", "127.0.0.1", "-p", port, ...args]);
    await publish("-t", "m/kept", "-m", "kept", "-r", "-q", "1");
    const args = ["-h", "127.0.0.1", "-p", port, "-i", "sub", "-t", "m/#", "-q", "2", "-C", "4", "-v"];
    const subscriber = spawn("mosquitto_sub", args);
    t.after(() => subscriber.kill());
    const ended = once(subscriber, "close");
    let output = "";
    subscriber.stdout.on("data", (chunk) => (output += String(chunk)));
    // Its output is buffered until it ends, after 4 messages.
    while (!/"id":"sub","address":"[^"]+","subscriptions":1/.test((await get(hub, "/api/clients")).body));
    for (const qos of ["0", "1", "2"]) await publish("-t", `m/${qos}`, "-m", qos, "-q", qos);
    await ended;
    assert.deepEqual(output.trim().split("\n").sort(), ["m/0 0", "m/1 1", "m/2 2", "m/kept kept"]);
  });
});
