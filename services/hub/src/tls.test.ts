import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { request, type RequestOptions } from "node:https";
import type { IncomingMessage } from "node:http";
import { connect as connectTcp } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { isCanfleetError } from "@canfleet/sdk";
import { LOCAL, login, makeDataFolder, READER_TOKEN } from "./access.suite.ts";
import { collect, connectClient, connectPacket, until } from "./harness.suite.ts";
import { Hub, type HubConfig } from "./hub.ts";
import { Authority, makePrivateKey } from "./pki/authority.ts";

const lan = Object.values(networkInterfaces())
  .flat()
  .find((found) => found?.family === "IPv4" && !found.internal)?.address;
const pair = Authority.make("a hub");
const authority = new Authority(pair);
const ca = authority.certificate;

function edgeKeys(signer = authority, days?: number): { cert: string; key: string } {
  const key = makePrivateKey();
  return { cert: signer.signEdge("pi-7", createPublicKey(key), days), key };
}

interface Encrypted {
  hub: Hub;
  folder: string;
  lines: string[];
  mqtts: string;
  https: string;
}

/** As people replace files: whole, by renaming. */
async function put(folder: string, name: string, text: string): Promise<void> {
  await writeFile(join(folder, `${name}.new`), text, { mode: 0o600 });
  await rename(join(folder, `${name}.new`), join(folder, name));
}

/** The certificates of a hub. */
async function putCertificates(folder: string): Promise<void> {
  const { certificate, privateKey } = authority.makeServer(["127.0.0.1", ...(lan === undefined ? [] : [lan])]);
  await put(folder, "ca.crt", ca);
  await put(folder, "server.crt", certificate);
  await put(folder, "server.key", privateKey);
}

/** A data folder with certificates and an access.json. */
async function guardedFolder(t: TestContext): Promise<string> {
  const folder = await makeDataFolder(t);
  await putCertificates(folder);
  return folder;
}

async function startHub(t: TestContext, config: HubConfig = {}): Promise<Encrypted> {
  const folder = await mkdtemp(join(tmpdir(), "cf-tls-"));
  t.after(() => rm(folder, { recursive: true }));
  await putCertificates(folder);
  const lines: string[] = [];
  const tls = { listen: LOCAL, https: LOCAL };
  const log = (_level: string, text: string): number => lines.push(text);
  const hub = await Hub.start({ listen: LOCAL, http: LOCAL, dataDir: folder, tls, log, ...config });
  t.after(() => hub.close());
  return { hub, folder, lines, mqtts: hub.mqttsUrl!, https: hub.httpsUrl! };
}

/** Serial number of the certificate that a new connection is shown, or the code why there is none. */
async function serial(url: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), ca, ...options });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()!.serialNumber;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.destroy();
  }
}

/** How many bytes the broker answers to a CONNECT before it hangs up, or we do. */
async function answerTo(url: string, options: ConnectionOptions): Promise<number> {
  const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), ca, ...options });
  let bytes = 0;
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    socket.destroy();
  });
  socket.write(connectPacket("c"));
  await once(socket, "close");
  return bytes;
}

function tryConnect(url: string, options: IClientOptions): Promise<MqttClient> {
  return connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ...options }, false);
}

async function status(url: string, options: RequestOptions): Promise<number | string> {
  const sent = request(`${url}/healthz`, { agent: false, ...options });
  sent.end();
  try {
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.resume();
    return response.statusCode ?? 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

describe("a hub with TLS", { timeout: 120_000 }, () => {
  it("carries messages between plain, encrypted, and encrypted WebSocket clients", async (t) => {
    const { hub, mqtts, https } = await startHub(t);
    const clients = [
      await connectClient(t, hub.mqttUrl),
      await connectClient(t, mqtts, { ca }),
      await connectClient(t, mqtts, { ca, ...edgeKeys() }),
      await connectClient(t, `${https.replace("https", "wss")}/mqtt`, { ca, ...edgeKeys() }),
    ];
    const seen = clients.map((client) => collect(client));
    for (const client of clients) await client.subscribeAsync("t/#", { qos: 1 });
    const large = "x".repeat(300_000);
    for (const [i, client] of clients.entries()) await client.publishAsync(`t/${i}`, large, { qos: 1 });
    await until("all have all", () => seen.every(({ length }) => length === clients.length));
    for (const received of seen) {
      assert.deepEqual(received.map(({ topic }) => topic).sort(), ["t/0", "t/1", "t/2", "t/3"]);
      assert.ok(received.every(({ payload }) => payload === large));
    }
    assert.equal(await status(https, { ca }), 200);
  });

  it("lets nobody in who shows a certificate that is not good, on either port", async (t) => {
    const { mqtts, https } = await startHub(t);
    const stranger = new Authority(Authority.make("a hub"));
    for (const bad of [edgeKeys(stranger), edgeKeys(authority, -0.5)]) {
      assert.equal(await answerTo(mqtts, bad), 0);
      assert.equal(typeof (await status(https, { ca, ...bad })), "string");
    }
    assert.notEqual(await answerTo(mqtts, edgeKeys()), 0);
    assert.equal(await status(https, { ca, ...edgeKeys() }), 200);
  });

  it("takes neither TLS 1.1 nor plain text, and goes on", async (t) => {
    const { mqtts, https } = await startHub(t);
    const old: ConnectionOptions = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    for (const url of [mqtts, https]) {
      assert.match(await serial(url, old), /PROTOCOL_VERSION|ECONNRESET|UNSUPPORTED_PROTOCOL|EPROTO/);
      const plain = connectTcp(Number(new URL(url).port), "127.0.0.1");
      plain.on("error", () => undefined).resume();
      plain.write(connectPacket("c"));
      await once(plain, "close");
      assert.match(await serial(url), /^[0-9A-F]+$/);
    }
  });

  it("cuts who does not finish the handshake in time", async (t) => {
    const { mqtts, https, lines } = await startHub(t, { limits: { connectTimeoutMs: 2_000 } });
    const silent = [mqtts, https].map((url) => connectTcp(Number(new URL(url).port), "127.0.0.1"));
    await Promise.all(silent.map((socket) => once(socket.on("error", () => undefined).resume(), "close")));
    assert.deepEqual(
      lines.filter((line) => line.includes("the TLS handshake failed or took too long")),
      Array.from({ length: 2 }, () => "connection from 127.0.0.1: the TLS handshake failed or took too long"),
    );
  });

  it("bounds what comes from one address over all its ports", async (t) => {
    const limits = { connectTimeoutMs: 60_000, sharedAddresses: [], maxConnectionsPerAddress: 4 };
    const { hub, mqtts, https, lines } = await startHub(t, { limits });
    // The hub's own two are accepted; so are these.
    await connectClient(t, mqtts, { ca });
    await connectClient(t, `${https.replace("https", "wss")}/mqtt`, { ca });
    await assert.rejects(tryConnect(hub.mqttUrl, { connectTimeout: 60_000 }));
    assert.ok(lines.includes("connection from 127.0.0.1: as many connections as one address may have"));
  });

  it("takes new keys over while it runs, and no connection notices", async (t) => {
    const { hub, folder, lines, mqtts, https } = await startHub(t);
    const before = await serial(mqtts);
    const subscriber = await connectClient(t, mqtts, { ca });
    let closes = 0;
    subscriber.on("close", () => closes++);
    const seen = collect(subscriber);
    await subscriber.subscribeAsync("n", { qos: 1 });
    const publisher = await connectClient(t, hub.mqttUrl);
    let count = 0;
    const timer = setInterval(() => publisher.publish("n", `${count++}`, { qos: 1 }), 5);
    t.after(() => clearInterval(timer));

    await put(folder, "server.key", "half a key");
    await until("the wrong key was refused", () =>
      lines.some((line) => /goes on with .*server\.key: expected/.test(line)),
    );
    assert.equal(await serial(mqtts), before);

    const { certificate, privateKey } = authority.makeServer(["127.0.0.1"]);
    await put(folder, "server.key", privateKey);
    await put(folder, "server.crt", certificate);
    const { serialNumber } = new X509Certificate(certificate);
    for (const url of [mqtts, https]) {
      await until("new connections see the new certificate", async () => (await serial(url)) === serialNumber);
    }
    // Ends above whatever was under way during the change.
    const enough = count + 50;
    await until("messages go on", () => count >= enough);
    clearInterval(timer);
    await until("all are there", () => seen.length >= count);
    assert.deepEqual(
      seen.map(({ payload }) => payload),
      Array.from({ length: count }, (_, i) => `${i}`),
    );
    assert.equal(closes, 0);
    await connectClient(t, mqtts, { ca, ...edgeKeys() });
  });

  it("is off without a certificate in its data folder, and names files that are missing or wrong", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "cf-tls-"));
    t.after(() => rm(folder, { recursive: true }));
    const config: HubConfig = { listen: LOCAL, http: LOCAL, dataDir: folder };
    const hub = await Hub.start(config);
    await hub.close();
    assert.deepEqual([hub.mqttsUrl, hub.httpsUrl], [undefined, undefined]);
    const fails = async (says: RegExp, tls: HubConfig["tls"]): Promise<void> => {
      await assert.rejects(Hub.start({ ...config, ...(tls ? { tls } : {}) }), (error) => {
        assert.ok(isCanfleetError(error, "CONFIG_INVALID"));
        assert.match(error.message, says);
        return true;
      });
    };
    await fails(/server\.crt: cannot be read/, { listen: LOCAL, https: LOCAL });
    const { certificate } = authority.makeServer(["127.0.0.1"]);
    await put(folder, "ca.crt", ca);
    await put(folder, "server.crt", certificate);
    await put(folder, "server.key", makePrivateKey());
    await fails(/server\.key: is not the private key of \S*server\.crt/, undefined);
    await fails(/ca\.crt: expected a private key/, { cert: join(folder, "ca.crt"), key: join(folder, "ca.crt") });
  });

  it("does not listen beyond this machine unasked, encrypted or not", async (t) => {
    const open = { host: "0.0.0.0", port: 0 };
    for (const tls of [
      { listen: open, https: LOCAL },
      { listen: LOCAL, https: open },
    ]) {
      await assert.rejects(startHub(t, { tls }), (error) => isCanfleetError(error, "HUB_UNSAFE_ADDRESS"));
    }
  });

  it("listens beyond this machine with somebody in access.json of the same folder, without a warning", async (t) => {
    const open = { host: "0.0.0.0", port: 0 };
    const { lines, mqtts } = await startHub(t, { dataDir: await guardedFolder(t), tls: { listen: open, https: open } });
    assert.deepEqual(
      lines.filter((line) => /plain text|without TLS|open to everybody/.test(line)),
      [],
    );
    const url = mqtts.replace("0.0.0.0", "127.0.0.1");
    await assert.rejects(tryConnect(url, { ca }), /[Nn]ot authorized/);
    await connectClient(t, url, { ca, ...login("bob") });
  });

  it(
    "takes passwords and tokens of other machines, by MQTT and by WebSocket",
    { skip: lan === undefined && "no network here" },
    async (t) => {
      const open = { host: "0.0.0.0", port: 0 };
      const dataDir = await guardedFolder(t);
      const { hub, mqtts, https } = await startHub(t, { dataDir, listen: open, tls: { listen: open, https: open } });
      const at = (scheme: string, url: string): string => `${scheme}://${lan!}:${new URL(url).port}`;
      for (const who of [login("bob"), { username: "token", password: READER_TOKEN.token }]) {
        await connectClient(t, at("mqtts", mqtts), { ca, ...who });
        await connectClient(t, `${at("wss", https)}/mqtt`, { ca, ...who });
        await assert.rejects(tryConnect(at("mqtt", hub.mqttUrl), who), /[Nn]ot authorized/);
      }
    },
  );
});
