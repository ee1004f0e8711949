import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request, type RequestOptions } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { LOCAL, login, makeDataFolder } from "../access.suite.ts";
import { edgeFilePath, hashSecret, readEdgeFile, sha256Of, updateEdgeFile } from "../access/edge-list.ts";
import { EdgeFile } from "../access/edge-registry.ts";
import { collect, connectClient, connectPacket, until } from "../harness.suite.ts";
import { Hub } from "../hub.ts";
import { Authority, makePrivateKey } from "../pki/authority.ts";
import { makeCertificateRequest } from "../pki/certificate-request.ts";
import { keepServerCertificate, serverChain } from "../pki/server-renewal.ts";
import { namesIn } from "../pki/server-names.ts";

const DAY_MS = 86_400_000;
const pair = Authority.make("a hub");
const authority = new Authority(pair);
const ca = authority.certificate;
const REFUSED = /[Nn]ot authorized/;

interface Keys {
  cert: string;
  key: string;
}

/** Keys of an edge, whoever signs them and whether they count or not. */
function edgeKeys(name: string, signer = authority, days?: number): Keys {
  const key = makePrivateKey();
  return { cert: signer.signEdge(name, createPublicKey(key), days), key };
}

function fingerprintOf({ cert }: Keys): string {
  return sha256Of(new X509Certificate(cert).fingerprint256);
}

/** Puts a certificate into edges.json as one that was signed an hour ago. */
async function list(folder: string, name: string, ...keys: Keys[]): Promise<void> {
  const entries = keys.map((one) => ({
    sha256: fingerprintOf(one),
    fromMs: Date.now() - 3_600_000,
    toMs: Date.parse(new X509Certificate(one.cert).validTo),
  }));
  await updateEdgeFile(edgeFilePath(folder), ({ edges }) => edges.set(name, entries));
}

async function addToken(folder: string, name: string, secret: string, ms = 3_600_000): Promise<void> {
  const token = { sha256: hashSecret(secret), toMs: Date.now() + ms };
  await updateEdgeFile(edgeFilePath(folder), ({ tokens }) => tokens.set(name, token));
}

interface Guarded {
  hub: Hub;
  folder: string;
  lines: string[];
  mqtts: string;
  https: string;
}

/** A hub as `canfleet hub init` makes it, with the people of `makeDataFolder`. */
async function startHub(t: TestContext): Promise<Guarded> {
  const folder = await makeDataFolder(t);
  const server = authority.makeServer(["127.0.0.1", "localhost"]);
  const files = {
    "ca.crt": ca,
    "ca.key": pair.privateKey,
    "server.crt": serverChain(server.certificate, ca),
    "server.key": server.privateKey,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 });
  const lines: string[] = [];
  const log = (_level: string, text: string): number => lines.push(text);
  const hub = await Hub.start({
    listen: LOCAL,
    http: LOCAL,
    dataDir: folder,
    tls: { listen: LOCAL, https: LOCAL },
    log,
  });
  t.after(() => hub.close());
  return { hub, folder, lines, mqtts: hub.mqttsUrl!, https: hub.httpsUrl! };
}

interface Answer {
  status: number;
  body: string;
}

async function post(
  { https }: Guarded,
  path: string,
  body: string,
  options: RequestOptions & { type?: string } = {},
): Promise<Answer> {
  const { type = "application/json", method = "POST", ...more } = options;
  const sent = request(`${https}${path}`, { agent: false, ca, method, headers: { "content-type": type }, ...more });
  sent.on("error", () => undefined).end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += String(chunk);
  return { status: response.statusCode ?? 0, body: text };
}

function asking(name: string, secret: string, key = makePrivateKey()): string {
  return JSON.stringify({ v: 1, name, secret, request: makeCertificateRequest(name, createPrivateKey(key)) });
}

function tryConnect(url: string, options: IClientOptions): Promise<MqttClient> {
  return connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0, ca, ...options }, false);
}

/** The will of an edge: its state, offline. */
function will(name: string): IClientOptions {
  return { will: { topic: `canfleet/${name}/state`, payload: Buffer.from("{}"), qos: 1, retain: true } };
}

const TOO_MANY = '{"error":"later"}\n';

describe("enrolment", { timeout: 120_000 }, () => {
  it("signs for the name of a token, once, and the certificate lets this edge in", async (t) => {
    const guarded = await startHub(t);
    const secret = "s".repeat(43);
    await addToken(guarded.folder, "pi-7", secret);
    const key = makePrivateKey();
    const { status, body } = await post(guarded, "/api/enroll", asking("pi-7", secret, key));
    assert.equal(status, 200, body);
    const answer = JSON.parse(body) as { [field: string]: string | number };
    assert.deepEqual([answer.v, answer.name, answer.ca], [1, "pi-7", ca]);
    assert.equal(answer.mqttPort, Number(new URL(guarded.mqtts).port));
    const cert = String(answer.certificate);
    assert.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)));
    await connectClient(t, guarded.mqtts, { ca, cert, key, ...will("pi-7") });
    assert.deepEqual(await post(guarded, "/api/enroll", asking("pi-7", secret)), {
      status: 403,
      body: '{"error":"refused"}\n',
    });
    const kept = await readFile(edgeFilePath(guarded.folder), "utf8");
    assert.ok(!kept.includes(secret) && kept.includes(fingerprintOf({ cert, key })));
  });

  it("gives one of many that come with the same token at once a certificate", async (t) => {
    const guarded = await startHub(t);
    const secret = "t".repeat(43);
    await addToken(guarded.folder, "pi-7", secret);
    const asked = Array.from({ length: 5 }, () => post(guarded, "/api/enroll", asking("pi-7", secret)));
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    assert.deepEqual(statuses.sort(), [200, 403, 403, 403, 403]);
    assert.equal((await readEdgeFile(edgeFilePath(guarded.folder)))?.edges.get("pi-7")?.length, 1);
  });

  it("answers whatever is no good with the same words, and uses no token up", async (t) => {
    const guarded = await startHub(t);
    const [secret, ended] = ["g".repeat(43), "e".repeat(43)];
    await addToken(guarded.folder, "pi-7", secret);
    await addToken(guarded.folder, "pi-9", ended, -1);
    const answers = [
      await post(guarded, "/api/enroll", asking("pi-7", "x".repeat(43))),
      await post(guarded, "/api/enroll", asking("pi-8", secret)),
      await post(guarded, "/api/enroll", asking("pi-9", ended)),
      await post(guarded, "/api/renew", asking("pi-7", secret)),
    ];
    for (const answer of answers) assert.deepEqual(answer, { status: 403, body: '{"error":"refused"}\n' });
    assert.equal((await post(guarded, "/api/enroll", asking("../pi", secret))).status, 403);
    const guesses = Array.from({ length: 20 }, () => post(guarded, "/api/enroll", asking("pi-8", secret)));
    const guessed = await Promise.all(guesses);
    assert.ok(guessed.every(({ status }) => status === 403 || status === 429));
    assert.equal(guessed.find(({ status }) => status === 429)?.body, TOO_MANY);
    assert.ok((await readEdgeFile(edgeFilePath(guarded.folder)))?.tokens.has("pi-7"));
    assert.ok(guarded.lines.some((line) => line.includes("/api/enroll from 127.0.0.1: refused")));
    assert.ok(!guarded.lines.join().includes(secret));
  });

  it("takes no other bodies, methods and ports than those for it", async (t) => {
    const guarded = await startHub(t);
    const secret = "b".repeat(43);
    await addToken(guarded.folder, "pi-7", secret);
    const good = asking("pi-7", secret);
    assert.equal((await post(guarded, "/api/enroll", "x".repeat(9_000))).status, 413);
    assert.equal((await post(guarded, "/api/enroll", good, { type: "text/plain" })).status, 400);
    assert.equal((await post(guarded, "/api/enroll", '{"v":1,"name":["pi-7"],"secret":1,"request":null}')).status, 400);
    const bad = JSON.stringify({ v: 1, name: "pi-7", secret, request: "no request" });
    assert.deepEqual(await post(guarded, "/api/enroll", bad), { status: 400, body: '{"error":"malformed"}\n' });
    assert.equal((await post(guarded, "/api/enroll", "", { method: "GET" })).status, 405);
    const plain = await fetch(`${guarded.hub.httpUrl!}/api/enroll`, {
      method: "POST",
      body: good,
      headers: { "content-type": "application/json" },
    });
    assert.equal(plain.status, 401);
    assert.equal((await post(guarded, "/api/enroll", good)).status, 200);
  });

  it("puts whoever had the name before out, when a new token was used", async (t) => {
    const guarded = await startHub(t);
    const old = edgeKeys("pi-7");
    await list(guarded.folder, "pi-7", old);
    const before = await connectClient(t, guarded.mqtts, { ca, ...old });
    const secret = "n".repeat(43);
    await addToken(guarded.folder, "pi-7", secret);
    assert.equal((await post(guarded, "/api/enroll", asking("pi-7", secret))).status, 200);
    await until("the former is out", () => !before.connected);
    await assert.rejects(tryConnect(guarded.mqtts, old), REFUSED);
  });

  it("renews for a certificate that counts, not twice in a minute, and both count", async (t) => {
    const guarded = await startHub(t);
    const old = edgeKeys("pi-7");
    await list(guarded.folder, "pi-7", old);
    const running = await connectClient(t, guarded.mqtts, { ca, ...old });
    const key = makePrivateKey();
    const body = asking("pi-7", "", key);
    assert.equal((await post(guarded, "/api/renew", body, edgeKeys("pi-7"))).status, 403);
    const { status, body: text } = await post(guarded, "/api/renew", body, old);
    assert.equal(status, 200, text);
    const cert = (JSON.parse(text) as { certificate: string }).certificate;
    await connectClient(t, guarded.mqtts, { ca, cert, key });
    await connectClient(t, guarded.mqtts, { ca, ...old });
    assert.deepEqual(await post(guarded, "/api/renew", body, { cert, key }), { status: 429, body: TOO_MANY });
    assert.ok(running.connected);
  });
});

describe("edges with certificates", { timeout: 120_000 }, () => {
  it("are who their certificates say, and nobody else", async (t) => {
    const guarded = await startHub(t);
    const [seven, eight] = [edgeKeys("pi-7"), edgeKeys("pi-8")];
    await list(guarded.folder, "pi-7", seven);
    await list(guarded.folder, "pi-8", eight);
    const reader = await connectClient(t, guarded.hub.mqttUrl, login("bob"));
    const heard = collect(reader);
    await reader.subscribeAsync("canfleet/+/can0/frames");
    const edge = await connectClient(t, guarded.mqtts, { ca, ...eight, ...will("pi-8") });
    await edge.publishAsync("canfleet/pi-7/can0/frames", "forged", { qos: 1 });
    await edge.publishAsync("canfleet/pi-8/can0/frames", "own", { qos: 1 });
    await until("its own frames come", () => heard.length > 0);
    assert.deepEqual(
      heard.map(({ payload }) => payload),
      ["own"],
    );
    await assert.rejects(edge.subscribeAsync("canfleet/pi-7/can0/send"), /Unspecified error|128/);
    await assert.rejects(tryConnect(guarded.mqtts, { ...eight, ...will("pi-7") }), REFUSED);
    assert.ok(
      guarded.lines.some((line) => /the certificate of "pi-8", .* has a will for "canfleet\/pi-7\/state"/.test(line)),
    );
    // A certificate decides alone: the password of somebody else beside it changes nothing.
    const unlisted = edgeKeys("pi-8");
    await assert.rejects(tryConnect(guarded.mqtts, { ...unlisted, ...login("alice") }), REFUSED);
  });

  it("are put out when they are revoked, and not let in again", async (t) => {
    const guarded = await startHub(t);
    const keys = edgeKeys("pi-7");
    await list(guarded.folder, "pi-7", keys);
    const other = await connectClient(t, guarded.hub.mqttUrl, login("alice"));
    const overTls = await connectClient(t, guarded.mqtts, { ca, ...keys });
    const overHttps = await connectClient(t, `${guarded.https.replace("https", "wss")}/mqtt`, { ca, ...keys });
    await updateEdgeFile(edgeFilePath(guarded.folder), ({ edges }) => edges.delete("pi-7"));
    await until("both are out", () => !overTls.connected && !overHttps.connected);
    await assert.rejects(tryConnect(guarded.mqtts, keys), REFUSED);
    assert.ok(other.connected);
    assert.ok(guarded.lines.some((line) => /login refused: .* with the certificate of "pi-7"/.test(line)));
  });

  it("are refused with a certificate that ended, of another authority, or none, with a line each", async (t) => {
    const guarded = await startHub(t);
    const stranger = new Authority(Authority.make("a hub"));
    const server = authority.makeServer(["pi-7"]);
    const cases: [Keys, RegExp][] = [
      [edgeKeys("pi-7", authority, -0.5), /CERT_HAS_EXPIRED/],
      [edgeKeys("pi-7", stranger), /UNABLE_TO_|CERT_SIGNATURE_FAILURE/],
      [{ cert: server.certificate, key: server.privateKey }, /INVALID_PURPOSE/],
    ];
    for (const [keys, says] of cases) {
      await list(guarded.folder, "pi-7", keys);
      const socket = connectTls({ host: "127.0.0.1", port: Number(new URL(guarded.mqtts).port), ca, ...keys });
      socket.on("error", () => undefined).resume();
      socket.write(connectPacket("c"));
      await once(socket, "close");
      const isLine = (line: string): boolean => line.startsWith("TLS connection from 127.0.0.1") && says.test(line);
      await until(`a line says ${String(says)}`, () => guarded.lines.some(isLine));
    }
    for (const url of [guarded.mqtts, guarded.https]) {
      const before = guarded.lines.length;
      const plain = connectTcp(Number(new URL(url).port), "127.0.0.1");
      plain.on("error", () => undefined).resume();
      plain.write(connectPacket("c"));
      await once(plain, "close");
      await until("a line tells of plain text", () =>
        guarded.lines.slice(before).some((line) => /^connection from \S+: the TLS handshake failed/.test(line)),
      );
    }
    await assert.rejects(tryConnect(guarded.mqtts, {}), REFUSED);
  });

  it("have to show a certificate where there is no access.json, too", async (t) => {
    const guarded = await startHub(t);
    const keys = edgeKeys("pi-7");
    await list(guarded.folder, "pi-7", keys);
    await guarded.hub.close();
    await rm(join(guarded.folder, "access.json"));
    const hub = await Hub.start({ listen: LOCAL, http: false, dataDir: guarded.folder, tls: { listen: LOCAL } });
    t.after(() => hub.close());
    await assert.rejects(tryConnect(hub.mqttUrl, {}), REFUSED);
    await connectClient(t, hub.mqttsUrl!, { ca, ...keys });
  });

  it("hold with a certificate that ended while another of theirs counts", async (t) => {
    const folder = await makeDataFolder(t);
    const [first, second] = [edgeKeys("pi-7", authority, 1), edgeKeys("pi-7", authority, 3)];
    await list(folder, "pi-7", first, second);
    let nowMs = Date.now();
    const edges = await EdgeFile.open({ path: edgeFilePath(folder), log: () => undefined, nowMs: () => nowMs });
    t.after(() => edges.close());
    let changes = 0;
    edges.onChange(() => changes++);
    const name = (): string | undefined => edges.edgeOf(new X509Certificate(first.cert).fingerprint256);
    assert.equal(name(), "pi-7");
    nowMs += 2 * DAY_MS;
    await edges.look();
    assert.deepEqual([name(), changes], ["pi-7", 0]);
    nowMs += 2 * DAY_MS;
    await edges.look();
    assert.deepEqual([name(), changes], [undefined, 1]);
  });

  it("stay as they are when edges.json is wrong or can be read by others", async (t) => {
    const guarded = await startHub(t);
    const keys = edgeKeys("pi-7");
    await list(guarded.folder, "pi-7", keys);
    const edge = await connectClient(t, guarded.mqtts, { ca, ...keys });
    const path = edgeFilePath(guarded.folder);
    const says = (text: RegExp): Promise<void> =>
      until(`the log says ${String(text)}`, () => guarded.lines.some((line) => text.test(line)));
    for (const [text, mistake] of [
      ["{", /edges\.json: not JSON; going on/],
      ['{"v":1,"edges":{"Pi 7":[]}}', /edges\."Pi 7": no edge can be called that/],
      ['{"v":1,"edges":{"pi-7":[{"sha256":"ab"}]}}', /edges\."pi-7"\[0\]\.sha256: expected 64 hex digits/],
      [
        '{"v":1,"tokens":{"pi-7":{"sha256":"' + "a".repeat(64) + '","to":"soon"}}}',
        /tokens\."pi-7"\.to: expected a time/,
      ],
    ] as const) {
      await writeFile(path, text, { mode: 0o600 });
      await says(mistake);
    }
    await chmod(path, 0o644);
    await says(/edges\.json: others on this machine can read it/);
    assert.ok(edge.connected);
  });
});

describe("the hub's own certificate", { timeout: 60_000 }, () => {
  it("is renewed with the same key when its end is near, for all its names", async (t) => {
    const folder = await makeDataFolder(t);
    const file = (name: string): string => join(folder, name);
    const old = authority.makeServer(["hub.example", "192.0.2.77"], new Date(Date.now() - 800 * DAY_MS));
    await writeFile(file("ca.crt"), ca, { mode: 0o600 });
    await writeFile(file("server.crt"), old.certificate, { mode: 0o600 });
    await writeFile(file("server.key"), old.privateKey, { mode: 0o600 });
    const files = { cert: file("server.crt"), key: file("server.key"), ca: file("ca.crt") };
    const renewed = async (): Promise<X509Certificate> => {
      (await keepServerCertificate(files, () => undefined))();
      return new X509Certificate(await readFile(files.cert));
    };
    const { serialNumber } = new X509Certificate(old.certificate);
    assert.equal((await renewed()).serialNumber, serialNumber, "without the authority's key");
    await writeFile(file("ca.key"), pair.privateKey, { mode: 0o600 });
    const after = await renewed();
    assert.ok(after.checkPrivateKey(createPrivateKey(old.privateKey)));
    assert.ok(Date.parse(after.validTo) > Date.now() + 800 * DAY_MS);
    const names = namesIn(after);
    for (const name of ["hub.example", "192.0.2.77", "localhost", "::1"]) assert.ok(names.includes(name), name);
    assert.equal((await renewed()).serialNumber, after.serialNumber, "not again");
  });
});
