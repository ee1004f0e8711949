import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, createServer } from "node:tls";
import {
  Authority,
  edgeFilePath,
  loadAuthority,
  makePrivateKey,
  readEdgeFile,
  serverChain,
  sha256Of,
  updateEdgeFile,
} from "@canfleet/hub/pki";
import { HubConnection, readBatchHeader } from "@canfleet/sdk";
import { decodeEnrolToken, encodeEnrolToken, parseHttpsUrl } from "./enroll-token.ts";
import { Place, type Ended, type Running } from "./running-canfleet.suite.ts";

/** Some forty commands run one after the other; a machine may be busy with others. */
const SUITE_LIMIT_MS = 900_000;

let place: Place;
before(async () => {
  place = await Place.make();
});
after(() => place.remove());

function run(line: string, env: NodeJS.ProcessEnv = {}, input = ""): Promise<Ended> {
  return place.run(line.split(" "), env, input);
}

async function runWell(line: string, env: NodeJS.ProcessEnv = {}, input = ""): Promise<string> {
  const { code, stdout, stderr } = await run(line, env, input);
  assert.equal(code, 0, `${line}: ${stderr}`);
  return stdout;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `waited a minute in vain until ${what}`);
    await sleep(20);
  }
}

async function modesIn(folder: string): Promise<{ [name: string]: string }> {
  const modes: { [name: string]: string } = {};
  for (const name of ["", ...(await readdir(folder))])
    modes[name] = ((await stat(join(folder, name))).mode & 0o777).toString(8);
  return modes;
}

interface MadeHub {
  hub: Running;
  folder: string;
  password: string;
  mqtt: string;
  mqtts: string;
  https: string;
}

/** A hub as a newcomer makes it, on free ports of this machine. */
async function startHub(name: string): Promise<MadeHub> {
  const password = (await runWell(`hub init ${name}`)).trim();
  const folder = join(place.folder, name);
  const settings = await readFile(join(folder, "canfleet.yaml"), "utf8");
  await writeFile(join(folder, "canfleet.yaml"), settings.replace(/: \d+\.0\.0\.\d:\d+/g, ": 127.0.0.1:0"));
  const hub = place.start(["hub", "--data", name], {}, SUITE_LIMIT_MS);
  const [, mqtt = ""] = await hub.says(/MQTT {2}(mqtt:\S+)/);
  const [, mqtts = ""] = await hub.says(/MQTT {2}(mqtts:\S+)/);
  const [, https = ""] = await hub.says(/page {2}(https:\S+)/);
  return { hub, folder, password, mqtt, mqtts, https };
}

function addToken(name: string, { folder, https }: MadeHub): Promise<string> {
  return runWell(`enroll ${name} --data ${folder} --url ${https}`);
}

function startEdge(dir: string): Running {
  return place.start(["edge", "sim:car=can0", "--config", `${dir}/canfleet.yaml`], {}, SUITE_LIMIT_MS);
}

async function certificatesOf(name: string, { folder }: MadeHub): Promise<number> {
  return (await readEdgeFile(edgeFilePath(folder)))?.edges.get(name)?.length ?? 0;
}

/** As if each certificate had been signed an hour ago: one is not renewed twice in a minute. */
function age(name: string, { folder }: MadeHub): Promise<unknown> {
  return updateEdgeFile(edgeFilePath(folder), ({ edges }) =>
    edges.set(
      name,
      (edges.get(name) ?? []).map((entry) => ({ ...entry, fromMs: Date.now() - 3_600_000 })),
    ),
  );
}

describe("canfleet hub init", { timeout: SUITE_LIMIT_MS }, () => {
  it("makes a folder that only its owner can enter, and overwrites nothing", async () => {
    const { code, stdout, stderr } = await run("hub init one --name hub.example");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^([a-z2-9]{4}-){5}[a-z2-9]{4}\n$/);
    assert.match(stderr, /hub\.example, .*localhost, 127\.0\.0\.1/);
    assert.match(stderr, /canfleet hub --data one\n {2}canfleet enroll pi-7 --data one\n/);
    const folder = join(place.folder, "one");
    const files = ["access.json", "ca.crt", "ca.key", "canfleet.yaml", "server.crt", "server.key"];
    const private600 = Object.fromEntries(files.map((name) => [name, "600"]));
    assert.deepEqual(await modesIn(folder), { "": "700", ...private600 });
    const key = await readFile(join(folder, "ca.key"), "utf8");
    const again = await run("hub init one");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /one\/ca\.key: exists already, and nothing was changed/);
    assert.equal(again.stdout, "");
    assert.equal(await readFile(join(folder, "ca.key"), "utf8"), key);
  });

  it("takes back what it wrote when something is in the way, and keeps people who are there", async () => {
    await mkdir(join(place.folder, "half"), { mode: 0o700 });
    await writeFile(join(place.folder, "half", "canfleet.yaml"), "hub: {}\n");
    assert.equal((await run("hub init half")).code, 1);
    assert.deepEqual(await readdir(join(place.folder, "half")), ["canfleet.yaml"]);
    await runWell("user add alice --data people", {}, "long enough\n");
    const { code, stdout, stderr } = await run("hub init people");
    assert.deepEqual([code, stdout], [0, ""], stderr);
    assert.match(stderr, /access\.json is as it was: nobody was added/);
    assert.equal(await runWell("user ls --data people"), "alice  reader\n");
    await mkdir(join(place.folder, "open"));
    await chmod(join(place.folder, "open"), 0o755);
    const open = await run("hub init open");
    assert.equal(open.code, 78);
    assert.match(open.stderr, /others on this machine can enter it; chmod 700/);
    assert.equal((await run("hub init x --name a/b")).code, 2);
  });
});

describe("an edge that is enrolled", { timeout: SUITE_LIMIT_MS }, () => {
  let made: MadeHub;
  before(async () => {
    made = await startHub("hub-data");
  });

  it("gets from a token to an encrypted connection, once, with files for its owner alone", async () => {
    const token = await addToken("car", made);
    const { code, stdout, stderr } = await run("enroll --dir car", {}, token);
    assert.deepEqual([code, stdout], [0, ""], stderr);
    assert.match(stderr, /this is car now, at https:\S+; its certificate is good until \d{4}-\d\d-\d\d, and renewed/);
    const files = { "ca.crt": "600", "canfleet.yaml": "600", "edge.pem": "600" };
    assert.deepEqual(await modesIn(join(place.folder, "car")), { "": "700", ...files });

    const edge = startEdge("car");
    await edge.says(/hub mqtts:\S+ connected/);
    const passwordFile = join(place.folder, "operator.password");
    await writeFile(passwordFile, made.password, { mode: 0o600 });
    const who = { CANFLEET_USER: "operator", CANFLEET_PASSWORD_FILE: passwordFile };
    const dumped = await run(`dump car/can0 --count 3 --hub ${made.mqtts} --ca hub-data/ca.crt`, who);
    assert.equal(dumped.stdout.trim().split("\n").length, 3, dumped.stderr);
    edge.kill("SIGTERM");
    assert.equal((await edge.ended()).code, 0);

    const twice = await run("enroll --dir car2", { CANFLEET_ENROLL_TOKEN: token.trim() });
    assert.equal(twice.code, 4);
    assert.match(twice.stderr, /it refuses this token: it was used/);
    assert.deepEqual(await readdir(join(place.folder, "car2")), ["ca.crt"]);
    const other = await run("edge sim:car=can0 --name boat --config car/canfleet.yaml");
    assert.equal(other.code, 78);
    assert.match(other.stderr, /this edge is called boat, and its certificate is for car/);
  });

  it("keeps a key that is there, and its token for later, unless it is told to replace it", async () => {
    await mkdir(join(place.folder, "kept"), { mode: 0o700 });
    await writeFile(join(place.folder, "kept", "edge.pem"), "old");
    await writeFile(join(place.folder, "kept", "canfleet.yaml"), "edge: {}\n");
    const tokenFile = join(place.folder, "kept.token");
    await writeFile(tokenFile, await addToken("kept", made), { mode: 0o600 });
    const { code, stderr } = await run(`enroll --dir kept --token-file ${tokenFile}`);
    assert.equal(code, 1);
    assert.match(stderr, /edge\.pem: is there already; --replace makes a new key/);
    const yaml = await runWell(`enroll --dir kept --token-file ${tokenFile} --replace`);
    assert.match(yaml, /^ {2}name: "kept"\n {2}hub: mqtts:/m);
    assert.equal(await readFile(join(place.folder, "kept", "canfleet.yaml"), "utf8"), "edge: {}\n");
  });

  it("sends nothing to a hub whose authority is not that of the token", async (t) => {
    const stranger = new Authority(Authority.make("canfleet hub"));
    const keys = stranger.makeServer(["127.0.0.1"]);
    let connections = 0;
    let bytes = 0;
    const server = createServer({ cert: serverChain(keys.certificate, stranger.certificate), key: keys.privateKey });
    server.on("connection", () => connections++);
    server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined).on("data", (chunk: Buffer) => (bytes += chunk.length));
    });
    server.on("tlsClientError", () => undefined).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const token = await addToken("forged", made);
    const { code, stderr } = await run(`enroll --dir forged --hub ${url}`, {}, token);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /not the hub of this token, by the fingerprint of its authority; nothing was sent/);
    assert.deepEqual([connections, bytes], [1, 0]);
    assert.deepEqual(await readdir(join(place.folder, "forged")), []);
    // The token was neither used nor seen: it still works at its own hub.
    await runWell("enroll --dir forged", {}, token);
  });

  it("is told in words what is wrong with a token, and no secret with it", async () => {
    const text = (await addToken("late", made)).trim();
    const token = decodeEnrolToken(text)!;
    const late = encodeEnrolToken({ ...token, endsMs: Date.now() - 1_000 });
    const gone = encodeEnrolToken({ ...token, urls: ["https://127.0.0.1:1"] });
    const cases: [input: string, code: number, says: RegExp][] = [
      [late, 4, /the token ended at .*; nothing was sent/],
      [gone, 3, /hub https:\/\/127\.0\.0\.1:1 cannot be reached/],
      [text.slice(0, -9), 2, /the token is none, or not all of it/],
      ["", 2, /the token is none, or not all of it/],
    ];
    for (const [input, wanted, says] of cases) {
      const { code, stdout, stderr } = await run("enroll --dir late", {}, input);
      assert.equal(code, wanted, stderr);
      assert.match(stderr, says);
      assert.doesNotMatch(stdout + stderr, /cfe1_\w|\n\s+at /);
      assert.ok(!(stdout + stderr).includes(token.secret));
    }
  });

  it("is put out by key rm, and in again with a new token, without a restart", async () => {
    await runWell("enroll --dir rm", {}, await addToken("rm", made));
    const edge = startEdge("rm");
    await edge.says(/hub mqtts:\S+ connected/);
    assert.match(await runWell(`key ls --data ${made.folder}`), /^edge +rm +[0-9a-f]{16} +until \d{4}-/m);
    await runWell(`key rm rm --data ${made.folder}`);
    await edge.says(/hub \S+ lost/);
    await edge.says(/cannot be reached: .*Not authorized; trying again/);
    assert.doesNotMatch(await runWell(`key ls --json --data ${made.folder}`), /"name":"rm"/);
    assert.match((await run("key rotate --config rm/canfleet.yaml")).stderr, /does not know this certificate any more/);
    const before = edge.stderr.length;
    await runWell("enroll --dir rm --replace", {}, await addToken("rm", made));
    await until("it is connected again", () => edge.stderr.slice(before).includes(" connected"));
    edge.kill("SIGTERM");
    await edge.ended();
    assert.equal((await run(`key rm nobody --data ${made.folder}`)).code, 2);
  });

  it("renews a certificate that is near its end by itself", async () => {
    await runWell("enroll --dir old", {}, await addToken("old", made));
    const key = makePrivateKey();
    const authority = await loadAuthority(made.folder);
    // Certificates count from a day before: less than a third of this one's time is left.
    const cert = authority.signEdge("old", createPublicKey(key), 0.4);
    const { fingerprint256, validTo } = new X509Certificate(cert);
    const entry = { sha256: sha256Of(fingerprint256), fromMs: Date.now() - 86_400_000, toMs: Date.parse(validTo) };
    await updateEdgeFile(edgeFilePath(made.folder), ({ edges }) => edges.set("old", [entry]));
    await writeFile(join(place.folder, "old", "new.pem"), key + cert, { mode: 0o600 });
    await rename(join(place.folder, "old", "new.pem"), join(place.folder, "old", "edge.pem"));
    const edge = startEdge("old");
    await edge.says(/this edge's certificate was renewed; it is good until \d{4}-\d\d-\d\d/);
    assert.equal(await certificatesOf("old", made), 2);
    edge.kill("SIGTERM");
    await edge.ended();
    const now = new X509Certificate(await readFile(join(place.folder, "old", "edge.pem")));
    assert.ok(Date.parse(now.validTo) > Date.now() + 700 * 86_400_000);
  });

  it("loses no frame while its key, the hub's key, and then the connection are changed", async (t) => {
    await runWell("enroll --dir rot", {}, await addToken("rot", made));
    const counted = new FrameNumbers();
    const watcher = new HubConnection(made.mqtt, {
      username: "operator",
      password: made.password,
      onMessage: (_topic, payload) => counted.add(payload),
    });
    t.after(() => watcher.close());
    await watcher.ready(60_000);
    await watcher.subscribe(["canfleet/rot/can0/frames", "canfleet/rot/can0/backfill"], 0);
    const edge = startEdge("rot");
    const connects = (): number => edge.stderr.match(/ connected\n/g)?.length ?? 0;
    const more = async (what: string): Promise<void> => {
      const enough = counted.end + 200;
      await until(`frames flow ${what}`, () => counted.end >= enough);
    };
    await more("at first");

    await age("rot", made);
    await runWell("key rotate --config rot/canfleet.yaml");
    assert.equal(await certificatesOf("rot", made), 2);
    const before = await serialAt(made.mqtts);
    await runWell(`key rotate --server --data ${made.folder}`);
    await until("the hub shows its new certificate", async () => (await serialAt(made.mqtts)) !== before);
    await more("with new keys");
    assert.equal(connects(), 1, edge.stderr);

    // The old certificate alone is revoked: the edge has to come back with the new one.
    await updateEdgeFile(edgeFilePath(made.folder), ({ edges }) => edges.set("rot", edges.get("rot")!.slice(1)));
    await until("the edge is back", () => connects() === 2);
    await more("with a new connection");
    // What came up meanwhile is in the edge's memory, and follows; an edge that ends before would take it along.
    const soFar = counted.end;
    await until("what was missed has followed", () => counted.missing(soFar) === 0);
    edge.kill("SIGTERM");
    const produced = Number(/can0 (\d+) received/.exec((await edge.ended()).stderr)?.[1]);
    assert.ok(produced >= 600);
    await until("all numbers have come", () => counted.missing(produced) === 0);
    console.log(`produced ${produced}, missing ${counted.missing(produced)}`);
  });
});

/** Which numbers of one epoch have come, live or later. */
class FrameNumbers {
  readonly #seen = new Set<number>();
  #first = Infinity;
  /** One above the highest. */
  end = 0;

  add(payload: Uint8Array): void {
    const { seq, count } = readBatchHeader(payload);
    for (let i = 0; i < count; i++) this.#seen.add(seq + i);
    this.#first = Math.min(this.#first, seq);
    this.end = Math.max(this.end, seq + count);
  }

  /** Numbers from the first that came up to `end` that have not. */
  missing(end: number): number {
    return Math.max(0, end - this.#first) - [...this.#seen].filter((seq) => seq < end).length;
  }
}

async function serialAt(url: string): Promise<string> {
  const { port } = parseHttpsUrl(url.replace("mqtts", "https"))!;
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()!.serialNumber;
  } finally {
    socket.destroy();
  }
}
