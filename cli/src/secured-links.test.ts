import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { RawLink, type RawLinkOptions } from "@canfleet/edge";
import { Authority } from "@canfleet/hub";
import { FrameBatch, TCPBus, type TCPListenOptions } from "@canfleet/sdk";
import { Place } from "./running-canfleet.suite.ts";

const LIMIT = { timeout: 120_000 };
const TOKEN = "the-token-of-this-test-0123456789";
const authority = new Authority(Authority.make("a private authority"));
const server = authority.makeServer(["127.0.0.1"]);
const TLS = { cert: server.certificate, key: server.privateKey };

let place: Place;
before(async () => {
  place = await Place.make();
  const files = {
    "ca.crt": authority.certificate,
    "server.crt": server.certificate,
    "server.key": server.privateKey,
    token: `${TOKEN}\n`,
    "other-token": "another-token-0123456789",
    "open-token": TOKEN,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(place.folder, name), text, { mode: 0o600 });
  await chmod(join(place.folder, "open-token"), 0o644);
});
after(() => place.remove());

type Stop = { after(end: () => Promise<unknown>): void };

async function host(t: Stop, options: TCPListenOptions): Promise<TCPBus> {
  const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false, ...options });
  t.after(() => bus.shutdown());
  return bus;
}

async function edge(t: Stop, options: Partial<RawLinkOptions>): Promise<RawLink> {
  const transmitter = { submit: (): void => undefined };
  const link = new RawLink(
    { role: "listen", port: 0, host: "127.0.0.1", log: () => undefined, ...options },
    transmitter,
  );
  await link.start();
  const frames = FrameBatch.of({ idWord: 0x123, timestampUs: 1_700_000_000_000_000, data: Uint8Array.of(1) });
  const timer = setInterval(() => link.publish(frames), 20);
  t.after(() => {
    clearInterval(timer);
    return link.close();
  });
  return link;
}

async function isConnected(bus: TCPBus): Promise<void> {
  if (!bus.isConnected) await new Promise<void>((resolve) => bus.once("connect", resolve));
  assert.equal(bus.link, "extended");
}

describe("raw links of the command line with TLS and a token", LIMIT, () => {
  it("an edge dials by its arguments", async (t) => {
    const bus = await host(t, { tls: TLS, token: TOKEN });
    const line = `edge sim:raw1 tls:127.0.0.1 ${bus.port} --ca ca.crt --link-token-file token`;
    const running = place.start(line.split(" "));
    t.after(() => running.kill("SIGKILL"));
    await running.says(/host 127\.0\.0\.1:\d+, TLS and token/);
    await isConnected(bus);
  });

  it("an edge dials by its configuration, and says what a token without TLS is worth", async (t) => {
    const [encrypted, plain] = [await host(t, { tls: TLS, token: TOKEN }), await host(t, { token: TOKEN })];
    const links = [
      `{ host: 127.0.0.1, port: ${encrypted.port}, tls: {}, tokenFile: token }`,
      `{ host: 127.0.0.1, port: ${plain.port} }`,
    ];
    const yaml = `edge:\n  tls: { ca: ca.crt }\n  linkTokenFile: token\n  buses:\n    - channel: sim:raw2\n      links:\n`;
    await writeFile(join(place.folder, "edge.yaml"), `${yaml}${links.map((link) => `        - ${link}\n`).join("")}`);
    const running = place.start(["edge", "--config", "edge.yaml"]);
    t.after(() => running.kill("SIGKILL"));
    await running.says(/token without TLS: frames can be read and changed on their way/);
    await isConnected(encrypted);
    await isConnected(plain);
  });

  it("a command dials an edge, with a token of the environment", async (t) => {
    const link = await edge(t, { tls: TLS, token: TOKEN });
    const env = { CANFLEET_LINK_TOKEN_FILE: "token", CANFLEET_CA: "ca.crt" };
    const { code, stdout, stderr } = await place.run(["dump", `tls:127.0.0.1:${link.port}`, "-n", "2", "-L"], env);
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trim().split("\n").length, 2);
    assert.match(stdout, /123#01/);
  });

  const WRONG: [what: string, flags: string, code: number, says: RegExp][] = [
    ["another token", "--ca ca.crt --link-token-file other-token", 4, /the edge has another token than this host/],
    ["no token", "--ca ca.crt", 4, /the edge wants a token, and this host has none/],
    ["an authority that is not trusted", "--link-token-file token", 4, /not from an authority that is trusted here/],
    ["a token that others can read", "--link-token-file open-token", 78, /open-token: others .* can read it/],
    ["no such file", "--ca ca.crt --link-token-file none", 1, /none: no such file/],
  ];
  for (const [what, flags, code, says] of WRONG) {
    it(`${what}: in words, and nothing is shown`, async (t) => {
      const link = await edge(t, { tls: TLS, token: TOKEN });
      const ended = await place.run(["send", `tls:127.0.0.1:${link.port}`, "123#01", ...flags.split(" ")]);
      assert.deepEqual([ended.code, ended.stdout], [code, ""], ended.stderr);
      assert.match(ended.stderr, says);
      assert.equal(link.counters.framesOut, 0);
    });
  }

  it("mistakes in the arguments and the configuration: in words", async () => {
    const listening = await place.run(["edge", "sim:raw3", "--listen", "tls:127.0.0.1:0"]);
    assert.equal(listening.code, 78);
    assert.match(listening.stderr, /needs a certificate for servers/);
    const short = join(place.folder, "short");
    await writeFile(short, "secret", { mode: 0o600 });
    const tooShort = await place.run(["edge", "sim:raw3", "127.0.0.1", "1", "--link-token-file", "short"]);
    assert.equal(tooShort.code, 78);
    assert.match(tooShort.stderr, /links\[0\]: the token of a raw link has 6 bytes/);
    assert.doesNotMatch(tooShort.stderr, /secret/);
  });
});
