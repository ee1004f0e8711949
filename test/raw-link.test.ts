import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { RawLink, type RawLinkOptions, type SendOrder, type Transmitter } from "@canfleet/edge";
import {
  FLAG_BRS,
  FLAG_ECHO,
  FLAG_ESI,
  FLAG_FD,
  FLAG_OWN,
  FrameBatch,
  isCanfleetError,
  Message,
  TCPBus,
  type LinkTiming,
  type LossEvent,
  type SendCode,
  type TCPListenOptions,
} from "@canfleet/sdk";

/** Waits short enough for a test, long enough for a busy machine. */
const QUICK: Partial<LinkTiming> = { firstRetryMs: 20, maxRetryMs: 200 };
const T0 = 1_700_000_000_000_000;

const open: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

function closeLater<T extends { close(): Promise<unknown> }>(one: T): T {
  open.push(one);
  return one;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > endMs) assert.fail(`waited 20 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Takes every order and answers each row with the next of `codes`, "sent" when there are no more. */
class RecordingTransmitter implements Transmitter {
  readonly orders: SendOrder[] = [];
  readonly codes: SendCode[] = [];

  submit(order: SendOrder): void {
    this.orders.push(order);
    for (let row = 0; row < order.frames.count; row++) order.settled?.(row, this.codes.shift() ?? "sent", T0 + 5);
  }

  get ids(): number[] {
    return this.orders.flatMap(({ frames }) => [...frames.idWord.subarray(0, frames.count)]);
  }
}

interface Edge {
  link: RawLink;
  transmitter: RecordingTransmitter;
}

async function startEdge(options: Omit<RawLinkOptions, "log">): Promise<Edge> {
  const transmitter = new RecordingTransmitter();
  const link = new RawLink({ timing: QUICK, log: () => undefined, ...options }, transmitter);
  await link.start();
  closeLater(link);
  return { link, transmitter };
}

async function startBus(options: TCPListenOptions = {}): Promise<TCPBus> {
  const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false, timing: QUICK, ...options });
  closeLater({ close: () => bus.shutdown() });
  return bus;
}

/** An edge that dials a bus; both know that the link is extended. */
async function startPair(
  busOptions: TCPListenOptions = {},
  edgeOptions: Partial<RawLinkOptions> = {},
): Promise<Edge & { bus: TCPBus; batches: FrameBatch[]; losses: LossEvent[] }> {
  const bus = await startBus(busOptions);
  const batches: FrameBatch[] = [];
  const losses: LossEvent[] = [];
  bus.on("batch", (batch) => batches.push(batch));
  bus.on("loss", (loss) => losses.push(loss));
  const edge = await startEdge({ role: "dial", host: "127.0.0.1", port: bus.port!, ...edgeOptions });
  await until(() => bus.link === "extended" && edge.link.peers[0]?.mode === "extended", "the upgrade");
  return { ...edge, bus, batches, losses };
}

function numbered(seq: number, ...ids: number[]): FrameBatch {
  const batch = FrameBatch.of(...ids.map((idWord, i) => ({ idWord, timestampUs: T0 + i, data: Uint8Array.of(i) })));
  batch.epoch = T0;
  batch.seq = seq;
  return batch;
}

function countOf(batches: FrameBatch[]): number {
  return batches.reduce((sum, batch) => sum + batch.count, 0);
}

interface Proxy {
  port: number;
  /** Swallows everything, ends included, as a network does that has lost its way. */
  setDeaf(deaf: boolean): void;
  /** Stops reading from who dialled it. */
  setPaused(paused: boolean): void;
  /** Ends all connections. */
  cut(): void;
}

/** A TCP relay with the faults of a network. */
async function startProxy(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const dialled = new Set<Socket>();
  let isDeaf = false;
  const server: Server = createServer((incoming) => {
    const outgoing = connect(targetPort, "127.0.0.1");
    dialled.add(incoming);
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk: Uint8Array) => {
        if (!isDeaf) to.write(chunk);
      });
      from.on("error", () => undefined);
      from.on("close", () => {
        if (!isDeaf) to.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  closeLater({
    close: () => {
      cut();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  return {
    port: (server.address() as AddressInfo).port,
    setDeaf: (deaf) => (isDeaf = deaf),
    setPaused: (paused) => dialled.forEach((socket) => (paused ? socket.pause() : socket.resume())),
    cut,
  };
}

describe("our bus and our edge", () => {
  it("upgrade by themselves and carry every kind of frame as it is", async () => {
    const { link, bus, batches } = await startPair();
    const sent = FrameBatch.of(
      { timestampUs: T0, idWord: 0x123, data: Uint8Array.of(1, 2, 3) },
      { timestampUs: T0 + 1, idWord: 0x80000123, data: new Uint8Array(0) },
      { timestampUs: T0 + 2, idWord: 0x40000321, length: 5 },
      { timestampUs: T0 + 3, idWord: 0x20000004, data: new Uint8Array(8).fill(7) },
      { timestampUs: T0 + 4, idWord: 0x7ff, data: new Uint8Array(8).fill(9), dlc: 9 },
      { timestampUs: T0 + 4, idWord: 0x7ff, data: new Uint8Array(8).fill(9), dlc: 15 },
      { timestampUs: T0 + 5, idWord: 0x1, data: new Uint8Array(64).fill(1), flags: FLAG_FD | FLAG_BRS | FLAG_ESI },
      { timestampUs: T0 + 6, idWord: 0x2, data: new Uint8Array(12), flags: FLAG_FD },
      { timestampUs: T0 + 7, idWord: 0x3, data: new Uint8Array(1), flags: FLAG_OWN | FLAG_ECHO },
    );
    sent.timestampNs[1] = 999;
    sent.epoch = T0;
    sent.seq = 7;
    sent.unknownFlags = FLAG_ESI;
    sent.lost = { kernel: 2 };
    const wanted = sent.clone();
    link.publish(sent);
    sent.clear();
    await until(() => countOf(batches) === 9, "nine frames");
    assert.deepEqual(batches, [wanted]);
    assert.equal(bus.counters.connects, 1);
    assert.deepEqual(link.counters.framesOut, 9);
  });

  it("give each frame to recv as a message, named after the port", async () => {
    const { link, bus } = await startPair();
    link.publish(numbered(0, 0x123));
    // A "batch" listener is there, so that frames wait for recv only once it was called.
    const message = bus.recv({ timeoutMs: 20_000 });
    link.publish(numbered(1, 0x124));
    assert.equal((await message)?.channel, bus.channel);
  });

  it("hold captured frames until the upgrade, so that none goes through a record", async () => {
    const bus = await startBus();
    const batches: FrameBatch[] = [];
    bus.on("batch", (batch) => batches.push(batch));
    const { link } = await startEdge({ role: "dial", host: "127.0.0.1", port: bus.port! });
    await until(() => link.peers.length === 1, "the connection");
    const batch = FrameBatch.of({ idWord: 1, data: new Uint8Array(64), flags: FLAG_FD });
    batch.seq = 0;
    link.publish(batch);
    await until(() => countOf(batches) === 1, "the frame");
    assert.ok(batches[0]!.isFd(0));
    assert.equal(link.counters.dropped, 0);
  });

  it("tell the time at which a confirmed frame was on the bus, or why it was not", async () => {
    const { bus, transmitter } = await startPair();
    const message = new Message({ arbitrationId: 0x100, data: new Uint8Array(64), isFd: true, bitrateSwitch: true });
    assert.deepEqual(await bus.send(message, { confirm: true, ttlMs: 1234 }), { timestampUs: T0 + 5 });
    const { frames, source, ttlMs } = transmitter.orders[0]!;
    assert.equal(frames.flags[0], FLAG_FD | FLAG_BRS);
    assert.equal(source, "link");
    assert.ok(ttlMs > 0 && ttlMs <= 1234);

    const refusals: [SendCode, string][] = [
      ["denied", "SEND_DENIED"],
      ["expired", "SEND_EXPIRED"],
      ["no-buffer", "SEND_NO_BUFFER"],
      ["bus-off", "SEND_BUS_OFF"],
      ["failed", "SEND_FAILED"],
    ];
    for (const [code, errorCode] of refusals) {
      transmitter.codes.push(code);
      await assert.rejects(bus.send(message, { confirm: true, ttlMs: 20_000 }), { code: errorCode });
    }
  });

  it("tell refusals that nobody waits for as error events", async () => {
    const { bus, transmitter } = await startPair();
    transmitter.codes.push("denied");
    const error = new Promise<Error>((resolve) => bus.once("error", resolve));
    await bus.send(new Message({ arbitrationId: 1 }));
    assert.ok(isCanfleetError(await error, "SEND_DENIED"));
  });

  it("keep the order of many sends", async () => {
    const { bus, transmitter } = await startPair();
    const ids = Array.from({ length: 2000 }, (_, i) => i);
    for (const id of ids) await bus.send(new Message({ arbitrationId: id }), { ttlMs: 20_000 });
    await until(() => transmitter.ids.length === ids.length, "all sends");
    assert.deepEqual(transmitter.ids, ids);
  });

  it("never send an error frame", async () => {
    const { bus } = await startPair();
    const frame = new Message({ isErrorFrame: true, arbitrationId: 4, data: new Uint8Array(8) });
    await assert.rejects(bus.send(frame), { code: "WIRE_CANNOT_CARRY" });
  });

  it("work as well with the bus dialling and the edge listening", async () => {
    const { link, transmitter } = await startEdge({ role: "listen", host: "127.0.0.1", port: 0 });
    const bus = await TCPBus.connect("127.0.0.1", link.port, { timing: QUICK });
    closeLater({ close: () => bus.shutdown() });
    await bus.send(new Message({ arbitrationId: 0x321 }), { confirm: true, ttlMs: 20_000 });
    assert.deepEqual(transmitter.ids, [0x321]);
    link.publish(numbered(0, 0x55));
    assert.equal((await bus.recv())?.arbitrationId, 0x55);
  });

  it("serve several hosts at once, each by itself", async () => {
    const { link } = await startEdge({ role: "listen", host: "127.0.0.1", port: 0 });
    const buses = await Promise.all([1, 2, 3].map(() => TCPBus.connect("127.0.0.1", link.port, { timing: QUICK })));
    buses.forEach((bus) => closeLater({ close: () => bus.shutdown() }));
    await until(() => link.peers.filter(({ mode }) => mode === "extended").length === 3, "three links");
    link.publish(numbered(0, 0x77));
    for (const bus of buses) assert.equal((await bus.recv())?.arbitrationId, 0x77);
  });
});

describe("a link that breaks", () => {
  it("comes back by itself, and tells exactly what was lost meanwhile", async () => {
    const bus = await startBus();
    const proxy = await startProxy(bus.port!);
    const losses: LossEvent[] = [];
    const batches: FrameBatch[] = [];
    bus.on("loss", (loss) => losses.push(loss));
    bus.on("batch", (batch) => batches.push(batch));
    const { link } = await startEdge({ role: "dial", host: "127.0.0.1", port: proxy.port });
    await until(() => link.peers[0]?.mode === "extended", "the upgrade");
    link.publish(numbered(0, 1, 2, 3));
    await until(() => countOf(batches) === 3, "three frames");
    proxy.cut();
    await until(() => bus.counters.connects === 2, "the next connection");
    await until(() => link.peers.length === 1 && link.peers[0]?.mode === "extended", "its upgrade");
    link.publish(numbered(13, 4));
    await until(() => countOf(batches) === 4, "the fourth frame");
    assert.deepEqual(losses, [{ channel: bus.channel, lost: { link: 10 } }]);
    assert.equal(batches.at(-1)?.seq, 13);
  });

  // One end at a time: when both may notice first, a new connection of the edge can replace the old one before the bus
  // has found it dead, which is as good a way to end.
  it("is found dead by the bus when the network goes deaf, and replaced", async () => {
    const quick = { ...QUICK, heartbeatMs: 100, silenceMs: 600 };
    const bus = await startBus({ timing: quick });
    const proxy = await startProxy(bus.port!);
    const timing = { ...quick, silenceMs: 120_000 };
    const { link } = await startEdge({ role: "dial", host: "127.0.0.1", port: proxy.port, timing });
    await until(() => link.peers[0]?.mode === "extended", "the upgrade");
    const reasons: string[] = [];
    bus.on("disconnect", (reason) => reasons.push(reason));
    proxy.setDeaf(true);
    await until(() => reasons.length === 1, "the bus to notice");
    assert.match(reasons[0]!, /silent/);
    proxy.setDeaf(false);
    proxy.cut();
    await until(() => bus.isConnected, "a new link");
  });

  it("is found dead by the edge when the network goes deaf, and replaced", async () => {
    const quick = { ...QUICK, heartbeatMs: 100, silenceMs: 600 };
    const bus = await startBus({ timing: { ...quick, silenceMs: 120_000 } });
    const proxy = await startProxy(bus.port!);
    const { link } = await startEdge({ role: "dial", host: "127.0.0.1", port: proxy.port, timing: quick });
    await until(() => link.peers[0]?.mode === "extended", "the upgrade");
    proxy.setDeaf(true);
    await until(() => link.counters.connects >= 2, "the edge to dial again");
    // What was dialled meanwhile lost its first bytes on the way, which TCP itself never does.
    proxy.setDeaf(false);
    proxy.cut();
    await until(() => bus.link === "extended" && link.peers[0]?.mode === "extended", "a new link");
  });

  it("stays while only heartbeats travel", async () => {
    const timing = { ...QUICK, heartbeatMs: 100, silenceMs: 1500 };
    const { link, bus } = await startPair({ timing }, { timing });
    await new Promise((resolve) => setTimeout(resolve, 3500));
    assert.equal(bus.counters.connects, 1);
    assert.equal(link.counters.connects, 1);
  });

  it("rejects a confirmed send whose answer cannot come any more", async () => {
    const bus = await startBus();
    const proxy = await startProxy(bus.port!);
    const silent: Transmitter = { submit: () => undefined };
    const link = new RawLink(
      { role: "dial", host: "127.0.0.1", port: proxy.port, timing: QUICK, log: () => undefined },
      silent,
    );
    await link.start();
    closeLater(link);
    await until(() => bus.link === "extended", "the upgrade");
    const sent = assert.rejects(bus.send(new Message(), { confirm: true, ttlMs: 100 }), { code: "LINK_CLOSED" });
    await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.cut();
    await sent;
  });

  it("lets frames expire that wait for a connection, and never sends them late", async () => {
    const bus = await startBus();
    await assert.rejects(bus.send(new Message({ arbitrationId: 1 }), { confirm: true, ttlMs: 30 }), {
      code: "SEND_EXPIRED",
    });
    const kept = bus.send(new Message({ arbitrationId: 2 }), { confirm: true, ttlMs: 30_000 });
    const { transmitter } = await startEdge({ role: "dial", host: "127.0.0.1", port: bus.port! });
    await kept;
    assert.deepEqual(transmitter.ids, [2]);
  });

  it("refuses sends beyond its queue", async () => {
    const bus = await startBus({ maxBufferedBytes: 780 });
    bus.on("error", () => undefined);
    for (let i = 0; i < 10; i++) await bus.send(new Message());
    await assert.rejects(bus.send(new Message()), { code: "SEND_QUEUE_FULL" });
  });

  it("drops whole batches towards a slow host, bounded, and states them once it reads again", async () => {
    const maxBufferedBytes = 200_000;
    const bus = await startBus();
    const proxy = await startProxy(bus.port!);
    const { link } = await startEdge({ role: "dial", host: "127.0.0.1", port: proxy.port, maxBufferedBytes });
    await until(() => link.peers[0]?.mode === "extended", "the upgrade");
    let received = 0;
    let lost = 0;
    let nextSeq = 0;
    bus.on("batch", (batch) => {
      assert.equal(batch.seq, nextSeq + (batch.lost?.link ?? 0));
      nextSeq = batch.seq + batch.count;
      received += batch.count;
    });
    bus.on("loss", (loss) => (lost += loss.lost.link ?? 0));
    proxy.setPaused(true);
    const ids = Array.from({ length: 256 }, (_, i) => i);
    let seq = 0;
    for (let n = 0; n < 20_000 && link.counters.dropped < 5000; n++) {
      link.publish(numbered(seq, ...ids));
      seq += ids.length;
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(link.counters.dropped >= 5000, "the link never filled up");
    proxy.setPaused(false);
    await until(() => {
      link.publish(numbered(seq++, 1));
      return received + lost >= seq - 100 && lost > 0;
    }, "the rest");
    await until(() => received + lost === seq, "the last frame");
    assert.equal(lost, link.counters.dropped);
  });
});
