import assert from "node:assert/strict";
import { createHmac, createPublicKey } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { RawLink, type RawLinkOptions, type SendOrder, type Transmitter } from "@canfleet/edge";
import { Authority, makePrivateKey } from "@canfleet/hub";
import {
  encodeRecords,
  FrameBatch,
  isCanfleetError,
  Message,
  TCPBus,
  type LinkSecurity,
  type LinkTiming,
  type TCPBusOptions,
  type TCPListenOptions,
} from "@canfleet/sdk";

/** Quick to try again, patient with a busy machine. */
const TIMING: Partial<LinkTiming> = {
  firstRetryMs: 20,
  maxRetryMs: 100,
  greetingWaitMs: 20_000,
  holdMs: 20_000,
  handshakeMs: 60_000,
  connectTimeoutMs: 60_000,
  silenceMs: 60_000,
};
const LIMIT_MS = 60_000;
const TOKEN = "a token that nobody guesses";
const OTHER = "another one of the same sort";
const CHALLENGE_BYTES = 105;

const authority = new Authority(Authority.make("the fleet"));
const stranger = new Authority(Authority.make("somebody else"));
const server = authority.makeServer(["127.0.0.1"]);
const LISTEN = { cert: server.certificate, key: server.privateKey };
const DIAL = { ca: authority.certificate };
const edgeKey = makePrivateKey();
const EDGE_CERT = { cert: authority.signEdge("pi-7", createPublicKey(edgeKey)), key: edgeKey };

const open: (() => unknown)[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

async function until(condition: () => boolean, what: string | (() => string)): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!condition()) {
    if (Date.now() > endMs) assert.fail(`waited ${LIMIT_MS / 1000} s for ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

class RecordingTransmitter implements Transmitter {
  readonly orders: SendOrder[] = [];

  submit(order: SendOrder): void {
    this.orders.push(order);
    for (let row = 0; row < order.frames.count; row++) order.settled?.(row, "sent", 1);
  }
}

interface Edge {
  link: RawLink;
  transmitter: RecordingTransmitter;
  log: string[];
}

async function startEdge(options: Omit<RawLinkOptions, "log" | "host">): Promise<Edge> {
  const transmitter = new RecordingTransmitter();
  const log: string[] = [];
  const link = new RawLink(
    { timing: TIMING, host: "127.0.0.1", log: (text) => log.push(text), ...options },
    transmitter,
  );
  await link.start();
  open.push(() => link.close());
  return { link, transmitter, log };
}

interface Host {
  bus: TCPBus;
  log: string[];
}

async function listen(options: TCPListenOptions = {}): Promise<Host> {
  const log: string[] = [];
  const bus = await TCPBus.listen(0, {
    hostname: "127.0.0.1",
    wait: false,
    timing: TIMING,
    log: (text) => log.push(text),
    ...options,
  });
  open.push(() => bus.shutdown());
  return { bus, log };
}

async function dial(port: number, options: TCPBusOptions = {}): Promise<Host> {
  const log: string[] = [];
  const say = (text: string): number => log.push(text);
  const bus = await TCPBus.connect("127.0.0.1", port, { timing: TIMING, log: say, ...options });
  open.push(() => bus.shutdown());
  return { bus, log };
}

/** Frames both ways, and an answer to a send. */
async function assertCarries({ link, transmitter }: Edge, bus: TCPBus): Promise<void> {
  await until(() => bus.link === "extended" && link.peers[0]?.mode === "extended", "the extended link");
  link.publish(FrameBatch.of({ idWord: 0x123, timestampUs: 1_700_000_000_000_000, data: Uint8Array.of(1, 2) }));
  assert.equal((await bus.recv({ timeoutMs: LIMIT_MS }))?.arbitrationId, 0x123);
  const message = new Message({ arbitrationId: 0x321, data: [3], isFd: true });
  assert.deepEqual(await bus.send(message, { confirm: true, ttlMs: 60_000 }), { timestampUs: 1 });
  assert.equal(transmitter.orders[0]?.frames.idWord[0], 0x321);
}

const says = (log: string[], text: RegExp): boolean => log.some((line) => text.test(line));

describe("a raw link with a token, TLS, or both", { timeout: 4 * LIMIT_MS }, () => {
  const KINDS: [what: string, listening: LinkSecurity, dialling: LinkSecurity][] = [
    ["a token", { token: TOKEN }, { token: TOKEN }],
    ["TLS", { tls: LISTEN }, { tls: DIAL }],
    ["TLS and a token", { tls: LISTEN, token: TOKEN }, { tls: DIAL, token: TOKEN }],
  ];
  for (const [what, listening, dialling] of KINDS) {
    it(`${what}: an edge dials a host, and both carry`, async () => {
      const { bus } = await listen(listening);
      await assertCarries(await startEdge({ role: "dial", port: bus.port!, ...dialling }), bus);
    });

    it(`${what}: a host dials an edge, and both carry`, async () => {
      const edge = await startEdge({ role: "listen", port: 0, ...listening });
      const { bus } = await dial(edge.link.port, dialling);
      await assertCarries(edge, bus);
      assert.equal(edge.transmitter.orders[0]?.source, listening.token === undefined ? "guest" : "link");
    });
  }

  it("carries records inside TLS", async () => {
    const { bus } = await listen({ tls: LISTEN, record: 21 });
    const { link } = await startEdge({ role: "dial", port: bus.port!, tls: DIAL, record: 21 });
    await until(() => bus.link === "records" && link.peers.length === 1, "the link");
    link.publish(FrameBatch.of({ idWord: 0x123, timestampUs: 1_700_000_000_000_000, data: Uint8Array.of(1) }));
    assert.equal((await bus.recv({ timeoutMs: LIMIT_MS }))?.arbitrationId, 0x123);
  });

  it("connects again after the connection broke", async () => {
    const { bus } = await listen({ tls: LISTEN, token: TOKEN });
    let sockets: Socket[] = [];
    const proxy = createServer((socket) => {
      const onward = connect(bus.port!, "127.0.0.1");
      sockets = [socket, onward];
      socket.on("error", () => undefined).pipe(onward);
      onward.on("error", () => undefined).pipe(socket);
    });
    const port = await listening(proxy);
    const edge = await startEdge({ role: "dial", port, tls: DIAL, token: TOKEN });
    await assertCarries(edge, bus);
    for (const socket of sockets) socket.destroy();
    await until(() => bus.counters.connects === 2 && edge.link.counters.connects === 2, "another connection");
  });
});

async function listening(listener: Server): Promise<number> {
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  open.push(() => listener.close());
  return (listener.address() as AddressInfo).port;
}

describe("ends that do not belong together", { timeout: 4 * LIMIT_MS }, () => {
  // Listening end, dialling end; what the edge says, what the host says.
  const PAIRS: [
    what: string,
    edge: string | undefined,
    host: string | undefined,
    edgeSays: RegExp,
    hostSays: RegExp,
  ][] = [
    ["tokens that differ", TOKEN, OTHER, /its token is another one/, /the edge has another token than this host/],
    [
      "an edge without one",
      undefined,
      TOKEN,
      /the host wants a token/,
      /the edge has no token, and one is wanted here/,
    ],
    ["a host without one", TOKEN, undefined, /the host has no token, and one/, /the edge wants a token, and this host/],
  ];
  for (const [what, edgeToken, hostToken, edgeSays, hostSays] of PAIRS) {
    it(`${what}: an edge that dials and its host both say so, and nothing is carried`, async () => {
      const { bus, log } = await listen({ token: hostToken });
      const edge = await startEdge({ role: "dial", port: bus.port!, token: edgeToken });
      await until(() => says(edge.log, edgeSays) && says(log, hostSays), "both sentences");
      assert.equal(bus.counters.connects, 0);
      assert.equal(edge.log.filter((line) => edgeSays.test(line)).length, 1, "said once");
      assert.equal(log.filter((line) => hostSays.test(line)).length, 1, "said once");
    });

    it(`${what}: a host that dials is told with a code, and the edge says so`, async () => {
      const edge = await startEdge({ role: "listen", port: 0, token: edgeToken });
      await assert.rejects(
        dial(edge.link.port, { token: hostToken }),
        (error) => isCanfleetError(error, "LINK_REFUSED") && hostSays.test(error.message),
      );
      await until(() => says(edge.log, edgeSays), "the edge's sentence");
      assert.deepEqual(edge.transmitter.orders, []);
    });
  }

  it("an edge goes on trying, and is let in when the token is right", async () => {
    const first = await listen({ token: OTHER });
    const port = first.bus.port!;
    const edge = await startEdge({ role: "dial", port, token: TOKEN });
    await until(() => first.bus.counters.refusedPeers > 0, "a refusal");
    await first.bus.shutdown();
    const log: string[] = [];
    const again = await TCPBus.listen(port, {
      hostname: "127.0.0.1",
      token: TOKEN,
      timing: TIMING,
      log: (text) => log.push(text),
    });
    open.push(() => again.shutdown());
    await assertCarries(edge, again);
  });

  it("slows down an edge that comes again and again with a wrong token", async () => {
    const { bus, log } = await listen({ token: TOKEN });
    await startEdge({ role: "dial", port: bus.port!, token: OTHER });
    await until(() => says(log, /too many wrong tokens came from there/), "the pause");
  });

  const TLS: [what: string, host: LinkSecurity, edge: LinkSecurity, edgeSays: RegExp, hostSays: RegExp][] = [
    [
      "an authority that is not trusted",
      { tls: LISTEN },
      { tls: { ca: stranger.certificate } },
      /its certificate is not from an authority/,
      /127\.0\.0\.1 refused: it closed the connection before|disconnected: the peer closed the connection/,
    ],
    [
      "another name",
      { tls: LISTEN },
      { tls: { ...DIAL, servername: "elsewhere" } },
      /its certificate is for other names/,
      /127\.0\.0\.1 refused: it closed the connection before|disconnected: the peer closed the connection/,
    ],
    [
      "an edge's certificate where a server's belongs",
      { tls: EDGE_CERT },
      { tls: DIAL },
      /its certificate is not that of a server/,
      /127\.0\.0\.1 refused: it closed the connection before|disconnected: the peer closed the connection/,
    ],
    [
      "no certificate where one is wanted",
      { tls: { ...LISTEN, ca: authority.certificate } },
      { tls: DIAL },
      /does not accept this client's certificate \(certificate required\)/,
      /it shows no certificate, and one is wanted here/,
    ],
    [
      "a certificate of another authority",
      { tls: { ...LISTEN, ca: stranger.certificate } },
      { tls: { ...DIAL, ...EDGE_CERT } },
      /does not accept this client's certificate|closed the connection|ECONNRESET|EPIPE/,
      /its certificate is not from an authority that is trusted here/,
    ],
    ["plain text to a TLS port", { tls: LISTEN, token: TOKEN }, { token: TOKEN }, /./, /it does not speak TLS/],
    ["TLS to a plain port", { token: TOKEN }, { tls: DIAL, token: TOKEN }, /./, /what it sends is no proof of a token/],
  ];
  for (const [what, host, edge, edgeSays, hostSays] of TLS) {
    it(`${what}: in words, and nothing is carried`, async () => {
      const { bus, log } = await listen(host);
      const { link, log: edgeLog } = await startEdge({ role: "dial", port: bus.port!, ...edge });
      await until(
        () => says(edgeLog, edgeSays),
        () => `what the edge says, not ${edgeLog.join("; ")}`,
      );
      await until(
        () => says(log, hostSays),
        () => `what the host says, not ${log.join("; ")}`,
      );
      assert.equal(bus.counters.connects, 0);
      assert.equal(link.counters.framesOut, 0);
    });
  }

  it("a certificate lets in, and is named, but gives nobody the right to send", async () => {
    const tls = { ...LISTEN, ca: authority.certificate };
    const edge = await startEdge({ role: "listen", port: 0, tls });
    const { bus } = await dial(edge.link.port, { tls: { ...DIAL, ...EDGE_CERT } });
    await assertCarries(edge, bus);
    const [order] = edge.transmitter.orders;
    assert.equal(order?.source, "guest");
    assert.match(order.by ?? "", /^host 127\.0\.0\.1:\d+ \(pi-7\)$/);
  });

  it("a proof is worth nothing on another connection, also to somebody with a certificate that is trusted", async () => {
    const { bus, log } = await listen({ tls: LISTEN, token: TOKEN });
    const middle = createTlsServer(LISTEN, (socket) => {
      const onward = connectTls({ port: bus.port!, host: "127.0.0.1", ca: authority.certificate });
      socket.on("error", () => undefined).pipe(onward);
      onward.on("error", () => undefined).pipe(socket);
    });
    const edge = await startEdge({ role: "dial", port: await listening(middle), tls: DIAL, token: TOKEN });
    await until(() => says(edge.log, /its token is another one/), "the refusal");
    await until(() => says(log, /the edge has another token than this host/), "the refusal at the host");
    assert.equal(bus.counters.connects, 0);
  });
});

describe("whoever proves nothing", { timeout: 4 * LIMIT_MS }, () => {
  interface Stranger {
    socket: Socket;
    bytes: () => Buffer;
    isClosed: () => boolean;
  }

  async function come(port: number): Promise<Stranger> {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    let isClosed = false;
    socket.on("data", (chunk) => chunks.push(chunk)).on("error", () => undefined);
    socket.once("close", () => (isClosed = true));
    open.push(() => socket.destroy());
    await once(socket, "connect");
    return { socket, bytes: () => Buffer.concat(chunks), isClosed: () => isClosed };
  }

  it("hears a challenge from an edge and never a frame, and sends none", async () => {
    const timing = { ...TIMING, handshakeMs: 300 };
    const edge = await startEdge({ role: "listen", port: 0, token: TOKEN, timing });
    const record = Buffer.alloc(13);
    encodeRecords(FrameBatch.of({ idWord: 0x123, data: Uint8Array.of(1) }), 13, record);
    const hello = Buffer.from("0000002008434e464c01000000", "hex");
    for (const sent of [
      Buffer.alloc(0),
      record,
      Buffer.concat([record, record]),
      hello,
      Buffer.concat([hello, record]),
    ]) {
      const one = await come(edge.link.port);
      one.socket.write(sent);
      while (!one.isClosed()) {
        edge.link.publish(FrameBatch.of({ idWord: 0x7ff, data: Uint8Array.of(9, 9, 9) }));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal(one.bytes().length, CHALLENGE_BYTES);
    }
    assert.deepEqual(edge.transmitter.orders, []);
    assert.equal(edge.link.counters.framesOut, 0);
    assert.ok(says(edge.log, /proved no token within 0.3 s/));
  });

  it("hears nothing at all from a host, and gives it nothing", async () => {
    const { bus, log } = await listen({ token: TOKEN });
    const record = Buffer.alloc(21);
    encodeRecords(FrameBatch.of({ idWord: 0x123, timestampUs: 1e15, data: Uint8Array.of(1) }), 21, record);
    const one = await come(bus.port!);
    one.socket.write(record);
    await until(() => one.isClosed(), "the end");
    assert.equal(one.bytes().length, 0);
    assert.ok(says(log, /what it sends is no proof of a token/));
    assert.equal(bus.counters.connects, 0);
  });

  it("neither takes the place of an edge that is there, nor keeps one out that comes", async () => {
    const { bus, log } = await listen({ tls: LISTEN, token: TOKEN });
    for (let n = 0; n < 40; n++) await come(bus.port!);
    await until(() => says(log, /on their way in: the oldest was ended/), "the bound");
    const edge = await startEdge({ role: "dial", port: bus.port!, tls: DIAL, token: TOKEN });
    await assertCarries(edge, bus);
    for (let n = 0; n < 40; n++) await come(bus.port!);
    assert.equal(edge.link.counters.connects, 1);
    assert.equal(bus.isConnected, true);
  });

  it("is let in when it does what docs/wire-tcp.md says, one byte at a time", async () => {
    const edge = await startEdge({ role: "listen", port: 0, token: TOKEN });
    const host = await come(edge.link.port);
    await until(() => host.bytes().length >= CHALLENGE_BYTES, "the challenge");
    const challenge = host.bytes();
    const edgeRandom = Buffer.concat([1, 2, 3, 4].map((n) => challenge.subarray(n * 21 + 13, n * 21 + 21)));
    const hostRandom = Buffer.alloc(32, 7);
    const proof = (role: string): Buffer =>
      createHmac("sha256", TOKEN)
        .update(Buffer.concat([Buffer.from(`canfleet raw link 1 ${role}`), edgeRandom, hostRandom, Buffer.alloc(32)]))
        .digest();
    const write = (...parts: Uint8Array[]): void => {
      for (const byte of Buffer.concat(parts)) host.socket.write(Uint8Array.of(byte));
    };
    write(Buffer.from("0000002008434e465401000000", "hex"), hostRandom, proof("host"));
    await until(() => host.bytes().length >= CHALLENGE_BYTES + 21 + 32 + 10, "the edge's proof and clock");
    const clock = host.bytes().subarray(CHALLENGE_BYTES + 53);
    assert.deepEqual([...clock.subarray(0, 2)], [133, 8]);
    // A frame, asked for at that time: tag 1, no flags, id 0x123, number 5, a minute to live, one byte.
    write(Uint8Array.of(134, 8), clock.subarray(2, 10), Buffer.from("01002301000005000000" + "60ea0000" + "aa", "hex"));
    await until(() => host.bytes().length >= CHALLENGE_BYTES + 21 + 32 + 10 + 15, "the result");
    const answer = host.bytes().subarray(CHALLENGE_BYTES);
    assert.equal(answer.subarray(8, 21).toString("hex"), "0000002008434e464101000000");
    assert.deepEqual(answer.subarray(21, 53), proof("edge"));
    assert.deepEqual([...answer.subarray(63, 70)], [132, 13, 5, 0, 0, 0, 0]);
    assert.equal(edge.transmitter.orders[0]?.frames.idWord[0], 0x123);
  });
});

describe("settings that cannot be used", () => {
  const BAD: [what: string, options: TCPListenOptions, says: RegExp][] = [
    ["a short token", { token: "secret" }, /has 6 bytes: expected 16 to 4096/],
    ["TLS without a certificate", { tls: {} }, /needs a certificate for servers/],
    ["a certificate without its key", { tls: { cert: server.certificate } }, /needs its private key/],
    ["another's key", { tls: { cert: server.certificate, key: edgeKey } }, /key values mismatch/],
    ["something else than PEM", { tls: { ...LISTEN, ca: "hello" } }, /PEM|no start line/],
    ["a token and a record size", { token: TOKEN, record: 21 }, /record must be auto, not 21/],
  ];
  for (const [what, options, says] of BAD) {
    it(what, async () => {
      const refused = (error: unknown): boolean => isCanfleetError(error, "CONFIG_INVALID") && says.test(error.message);
      await assert.rejects(listen(options), refused);
      await assert.rejects(startEdge({ role: "listen", port: 0, ...options }), refused);
    });
  }
});
