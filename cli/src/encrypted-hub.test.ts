import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { chmod, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { Authority, makePrivateKey, type KeyPair } from "@canfleet/hub";
import { HubConnection, isCanfleetError, MqttBus } from "@canfleet/sdk";
import { Place } from "./running-canfleet.suite.ts";

const noMosquitto =
  spawnSync("mosquitto", ["-h"]).error !== undefined && process.env.CANFLEET_REQUIRE_REAL !== "1"
    ? "mosquitto is not installed"
    : false;
const LIMIT = { timeout: 120_000 };
const DAY_MS = 86_400_000;

const authority = new Authority(Authority.make("a private authority"));
const server = authority.makeServer(["localhost", "127.0.0.1"]);
const edgeKey = makePrivateKey();
const edgeCert = authority.signEdge("car", createPublicKey(edgeKey));

let place: Place;
before(async () => {
  place = await Place.make();
  const files = {
    "ca.crt": authority.certificate,
    "other-ca.crt": Authority.make("another authority").certificate,
    "server.crt": server.certificate,
    "server.key": server.privateKey,
    "edge.crt": edgeCert,
    "edge.key": edgeKey,
    "not.pem": "hello",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(place.folder, name), text, { mode: 0o600 });
});
after(() => place.remove());

async function listening(listener: Server, stop: (close: () => void) => void): Promise<number> {
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  stop(() => listener.close());
  return (listener.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  let close = (): void => undefined;
  const port = await listening(createServer(), (end) => (close = end));
  close();
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Mosquitto with our certificates; whoever comes must show one of our authority. */
async function startMosquitto(stop: (close: () => void) => void): Promise<number> {
  const port = await freePort();
  const file = (name: string): string => join(place.folder, name);
  await chmod(place.folder, 0o755);
  const settings = [
    "user root",
    "log_type error",
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    `cafile ${file("ca.crt")}`,
    `certfile ${file("server.crt")}`,
    `keyfile ${file("server.key")}`,
    "require_certificate true",
  ];
  await writeFile(file("mosquitto.conf"), `${settings.join("\n")}\n`);
  const child = spawn("mosquitto", ["-c", file("mosquitto.conf")], { stdio: "ignore" });
  stop(() => child.kill());
  while (!(await answers(port))) await sleep(20);
  return port;
}

/** A server that knows TLS and nothing else. */
function tlsServer(keys: KeyPair, options: TlsOptions = {}): Server {
  const listener = createTlsServer({ cert: keys.certificate, key: keys.privateKey, ...options }, (socket) => {
    socket.on("error", () => undefined);
    socket.resume();
  });
  return listener.on("tlsClientError", () => undefined);
}

describe("a broker with certificates of its own authority", LIMIT, () => {
  it(
    "carries frames of an edge that shows its certificate to a client that shows one",
    { skip: noMosquitto },
    async (t) => {
      const port = await startMosquitto((close) => t.after(close));
      const url = `mqtts://localhost:${port}`;
      const edge = place.start(
        `edge sim:car=can0 --name car --hub ${url} --ca ca.crt --cert edge.crt --key edge.key`.split(" "),
      );
      t.after(() => edge.kill("SIGKILL"));
      await edge.says(/hub mqtts:\S+ connected/);
      const env = { CANFLEET_CA: "ca.crt", CANFLEET_CERT: "edge.crt", CANFLEET_KEY: "edge.key", CANFLEET_HUB: url };
      const dumped = await place.run(["dump", "car/can0", "--count", "3"], env);
      assert.deepEqual([dumped.code, dumped.stdout.trim().split("\n").length], [0, 3], dumped.stderr);
      edge.kill("SIGTERM");
      assert.equal((await edge.ended()).code, 0);
    },
  );

  it("tells who shows none that it must", { skip: noMosquitto }, async (t) => {
    const port = await startMosquitto((close) => t.after(close));
    const { code, stderr } = await place.run(`ls --hub mqtts://localhost:${port} --ca ca.crt`.split(" "));
    assert.match(stderr, /hub mqtts:\S+: it does not accept this client's certificate \(certificate required\)/);
    assert.notEqual(code, 0);
  });
});

describe("what an encrypted connection fails for", { ...LIMIT, concurrency: 4 }, () => {
  const expired = authority.makeServer(["127.0.0.1"], new Date(Date.now() - 900 * DAY_MS));
  const old: TlsOptions = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
  const plain = (): Server =>
    createServer((socket) => socket.on("error", () => undefined).end("HTTP/1.1 400 No\r\n\r\n"));
  const mute = (): Server => createServer((socket) => socket.on("error", () => undefined).destroy());
  const FAILURES: [what: string, make: () => Server, line: string, says: RegExp][] = [
    [
      "an unknown authority",
      () => tlsServer(server),
      "mqtts",
      /: its certificate is not from an authority that is trus/,
    ],
    [
      "another authority",
      () => tlsServer(server),
      "mqtts --ca other-ca.crt",
      /: its certificate is not from an authority/,
    ],
    [
      "another authority, by WebSocket",
      () => tlsServer(server),
      "wss --ca other-ca.crt",
      /: its certificate is not from/,
    ],
    [
      "another name",
      () => tlsServer(authority.makeServer(["hub.example"])),
      "mqtts --ca ca.crt",
      /: its certificate is for other names \(DNS:hub\.example\)/,
    ],
    ["an expired certificate", () => tlsServer(expired), "mqtts --ca ca.crt", /: its certificate has expired/],
    [
      "an edge's certificate",
      () => tlsServer({ certificate: edgeCert, privateKey: edgeKey }),
      "mqtts --ca ca.crt",
      /not that of a server/,
    ],
    ["a plain port", plain, "mqtts --ca ca.crt", /cannot be reached: the port answers, but not with TLS/],
  ];
  for (const [what, make, line, says] of FAILURES) {
    it(`${what}: in words`, async (t) => {
      const port = await listening(make(), (close) => t.after(close));
      const [scheme, ...flags] = line.split(" ");
      const ended = await place.run(["ls", "--hub", `${scheme}://127.0.0.1:${port}`, ...flags]);
      assert.notEqual(ended.code, 0);
      assert.match(ended.stderr, says);
      assert.doesNotMatch(ended.stderr, /\n\s+at /, "a stack trace");
    });
  }

  // A command tells these when its patience ends (as for the plain port above), an attempt at once.
  const ATTEMPTS: [what: string, make: () => Server, scheme: string, says: RegExp][] = [
    ["TLS 1.1", () => tlsServer(server, old), "mqtts", /^no TLS version in common/],
    ["a port that hangs up", mute, "mqtts", /^the connection was closed before the hub answered: a plain port, or/],
    ["a TLS port spoken to in the clear", () => tlsServer(server), "mqtt", /\(a TLS port\?\)/],
  ];
  for (const [what, make, scheme, says] of ATTEMPTS) {
    it(`${what}: in words`, async (t) => {
      const port = await listening(make(), (close) => t.after(close));
      const reason = await new Promise<string>((resolve) => {
        const connection = new HubConnection(`${scheme}://127.0.0.1:${port}`, {
          onAttemptFailed: resolve,
          ...(scheme === "mqtts" ? { tls: { ca: authority.certificate } } : {}),
        });
        t.after(() => connection.close());
      });
      assert.match(reason, says);
    });
  }

  const FILES: [line: string, says: RegExp][] = [
    ["ls --hub mqtts://127.0.0.1:1 --ca none.crt", /none\.crt: no such file/],
    ["ls --hub mqtts://127.0.0.1:1 --ca not.pem", /not\.pem: expected a certificate, PEM/],
    ["ls --hub mqtt://127.0.0.1:1 --ca ca.crt", /--ca: mqtt:\S+ is not encrypted/],
    ["edge sim:a --hub mqtts://127.0.0.1:1 --cert edge.crt", /needs its private key/],
    [
      "edge sim:a --hub mqtts://127.0.0.1:1 --cert edge.crt --key server.key",
      /server\.key: is not the private key of edge/,
    ],
    ["edge sim:a --hub mqtts://127.0.0.1:1 --cert edge.crt --key ca.crt", /ca\.crt: expected a private key/],
  ];
  for (const [line, says] of FILES) {
    it(`canfleet ${line}: in words`, async () => {
      const { code, stderr } = await place.run(line.split(" "));
      assert.notEqual(code, 0);
      assert.match(stderr, says);
    });
  }

  it("an edge says why, once, and goes on", async (t) => {
    const port = await listening(tlsServer(server), (close) => t.after(close));
    const edge = place.start(`edge sim:b --hub mqtts://127.0.0.1:${port} --ca other-ca.crt`.split(" "));
    t.after(() => edge.kill("SIGKILL"));
    await edge.says(/cannot be reached: its certificate is not from an authority that is trusted here; trying again/);
    edge.kill("SIGTERM");
    const { code, stderr } = await edge.ended();
    assert.equal(code, 0);
    assert.equal(stderr.match(/trying again/g)?.length, 1);
  });

  it("a program is told with a code, before its patience ends", async (t) => {
    const port = await listening(tlsServer(server), (close) => t.after(close));
    const open = (scheme: string, tls: object): Promise<MqttBus> =>
      MqttBus.connect(`${scheme}://127.0.0.1:${port}`, { edge: "+", bus: "+", connectTimeoutMs: 60_000, tls });
    const ca = authority.certificate;
    await assert.rejects(open("mqtts", {}), (error) => isCanfleetError(error, "HUB_REFUSED"));
    await assert.rejects(open("mqtts", { ca, servername: "other" }), /other names/);
    await assert.rejects(open("mqtt", { ca }), (error) => isCanfleetError(error, "CONFIG_INVALID"));
    await assert.rejects(open("wss", { ca, cert: edgeCert }), (error) => isCanfleetError(error, "CONFIG_INVALID"));
    await assert.rejects(open("mqtts", { ca, cert: "no", key: "pem" }), (error) =>
      isCanfleetError(error, "CONFIG_INVALID"),
    );
  });
});
