import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { EdgeItemStream, encodeHello, FrameBatch, isCanfleetError, TAG_CLOCK } from "@canfleet/sdk";
import { RawLink, type RawLinkOptions } from "./raw-link.ts";
import type { SendOrder, Transmitter } from "./transmit.ts";

const T0 = 1_700_000_000_654_321;
const GREETING_MARK = "434e464c01000000";
const QUICK = { firstRetryMs: 10, maxRetryMs: 50 };

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > endMs) assert.fail(`waited 20 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

class RecordingTransmitter implements Transmitter {
  readonly orders: SendOrder[] = [];

  submit(order: SendOrder): void {
    this.orders.push(order);
  }

  get ids(): number[] {
    return this.orders.flatMap(({ frames }) => [...frames.idWord.subarray(0, frames.count)]);
  }
}

async function startLink(
  options: Pick<RawLinkOptions, "role" | "port"> & Partial<RawLinkOptions>,
): Promise<{ link: RawLink; transmitter: RecordingTransmitter; log: string[] }> {
  const transmitter = new RecordingTransmitter();
  const log: string[] = [];
  const link = new RawLink(
    { host: "127.0.0.1", timing: QUICK, log: (text) => log.push(text), ...options },
    transmitter,
  );
  await link.start();
  open.push(() => link.close());
  return { link, transmitter, log };
}

interface Host {
  socket: Socket;
  bytes(): Buffer;
  size(): number;
}

function hear(socket: Socket): Host {
  const reads: Buffer[] = [];
  let size = 0;
  socket.on("data", (chunk: Buffer) => {
    reads.push(chunk);
    size += chunk.length;
  });
  socket.on("error", () => undefined);
  open.push(() => socket.destroy());
  return { socket, bytes: () => Buffer.concat(reads), size: () => size };
}

async function dial(link: RawLink): Promise<Host> {
  const host = hear(connect(link.port, "127.0.0.1"));
  await once(host.socket, "connect");
  return host;
}

/** A host as socketsocketcan's TCPBus: it listens, takes one connection and says nothing by itself. */
async function startHost(): Promise<{ port: number; accepted: Host[]; close(): Promise<void> }> {
  const accepted: Host[] = [];
  const server = createServer((socket) => accepted.push(hear(socket)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    accepted.forEach(({ socket }) => socket.destroy());
    await once(server, "close");
  };
  open.push(close);
  return { port: (server.address() as AddressInfo).port, accepted, close };
}

function frames(...ids: number[]): FrameBatch {
  return FrameBatch.of(...ids.map((idWord) => ({ idWord, timestampUs: T0, data: Uint8Array.of(0xaa, 0xbb) })));
}

const RECORD_13 = (id: string): string => `${id}02aabb000000000000`;
const RECORD_21 = (id: string): string => `00f15365f1fb0900${RECORD_13(id)}`;
const RECORD_29 = (id: string): string => `00f1536500000000f1fb090000000000${RECORD_13(id)}`;

describe("the edge and a socketsocketcan host", () => {
  it("greets with an error frame that says nothing, then sends 21-byte records", async () => {
    const host = await startHost();
    const { link } = await startLink({ role: "dial", port: host.port });
    await until(() => host.accepted.length === 1, "the connection");
    link.publish(frames(0x123, 0x80000124));
    await until(() => host.accepted[0]!.bytes().length >= 63, "greeting and two records");
    const hex = host.accepted[0]!.bytes().toString("hex");
    assert.equal(hex.slice(16, 42), `0000002008${GREETING_MARK}`);
    assert.equal(hex.slice(42), RECORD_21("23010000") + RECORD_21("24010080"));
    assert.equal(link.peers[0]?.mode, "records");
  });

  for (const [size, record] of [
    [21, RECORD_21],
    [29, RECORD_29],
    [13, RECORD_13],
  ] as const) {
    it(`says nothing but ${size}-byte records when told so`, async () => {
      const host = await startHost();
      const { link } = await startLink({ role: "dial", port: host.port, record: size });
      await until(() => link.peers.length === 1 && host.accepted.length === 1, "the connection");
      link.publish(frames(0x123));
      link.publish(frames(0x124));
      await until(() => host.accepted[0]!.bytes().length >= 2 * size, "two records");
      assert.equal(host.accepted[0]!.bytes().toString("hex"), record("23010000") + record("24010000"));
    });
  }

  it("counts frames that a record cannot hold as dropped", async () => {
    const host = await startHost();
    const { link } = await startLink({ role: "dial", port: host.port, record: 21 });
    await until(() => link.peers.length === 1, "the connection");
    link.publish(FrameBatch.of({ idWord: 1, data: new Uint8Array(12), flags: 1 }, { idWord: 2 }));
    assert.equal(link.counters.dropped, 1);
    assert.equal(link.counters.framesOut, 1);
  });

  it("submits the host's records in any split, as the link's", async () => {
    const host = await startHost();
    const { transmitter } = await startLink({ role: "dial", port: host.port });
    await until(() => host.accepted.length === 1, "the connection");
    const bytes = Buffer.from(RECORD_13("23010000") + RECORD_13("24010080") + RECORD_13("25010040"), "hex");
    for (const byte of bytes) {
      host.accepted[0]!.socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => transmitter.ids.length === 3, "three frames");
    assert.deepEqual(transmitter.ids, [0x123, 0x80000124, 0x40000125]);
    assert.equal(transmitter.orders[0]!.source, "link");
    assert.equal(transmitter.orders[0]!.settled, undefined);
  });

  it("dials again when the host has gone and come back", async () => {
    const host = await startHost();
    const { link } = await startLink({ role: "dial", port: host.port });
    await until(() => host.accepted.length === 1, "the first connection");
    host.accepted[0]!.socket.destroy();
    await until(() => host.accepted.length === 2, "the second connection");
    assert.ok(link.counters.connects >= 2);
  });

  it("drops whole batches towards a host that does not read, and none of another host's", async () => {
    const { link } = await startLink({ role: "listen", port: 0, maxBufferedBytes: 100_000, record: 21 });
    const slow = await dial(link);
    const other = await dial(link);
    await until(() => link.peers.length === 2, "two hosts");
    slow.socket.pause();
    const batch = frames(...Array.from({ length: 4000 }, (_, i) => i & 0x7ff));
    let published = 0;
    while (link.counters.dropped === 0 && published < 4_000_000) {
      link.publish(batch);
      published += batch.count;
      await until(() => other.size() === published * 21, "the other host");
    }
    assert.equal(link.counters.dropped, batch.count);
    assert.equal(link.counters.framesOut, 2 * published - batch.count);
  });

  it("hands what waits to the host when it is closed", async () => {
    const host = await startHost();
    const { link } = await startLink({ role: "dial", port: host.port });
    await until(() => link.peers.length === 1 && host.accepted.length === 1, "the connection");
    for (let n = 0; n < 100; n++) link.publish(frames(0x123));
    await link.close();
    await until(() => host.accepted[0]!.socket.closed, "the end");
    assert.equal(host.accepted[0]!.bytes().length, 21 + 100 * 21);
  });
});

describe("the edge's port", () => {
  const garbage: [string, Buffer][] = [
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: pi\r\n\r\n")],
    ["a TLS hello", Buffer.from("160301020001000001fc0303", "hex")],
    ["zeros, but for a wrong DLC", Buffer.from("00000000ff0000000000000000", "hex")],
    ["an error frame", Buffer.from("0400002008000000000000000000", "hex")],
    ["a good record and then rubbish", Buffer.from(RECORD_13("23010000") + "ff".repeat(13), "hex")],
    ["a hello and then rubbish", Buffer.concat([encodeHello(), Buffer.alloc(4, 0x7f)])],
  ];
  for (const [name, bytes] of garbage) {
    it(`puts nothing on the bus for ${name}, and disturbs nobody else`, async () => {
      const { link, transmitter } = await startLink({ role: "listen", port: 0 });
      const good = await dial(link);
      const bad = await dial(link);
      await until(() => link.peers.length === 2, "two hosts");
      bad.socket.write(bytes);
      if (bytes.length < 13) bad.socket.write(Buffer.alloc(13));
      await once(bad.socket, "close");
      assert.equal(link.counters.badRecords, 1);
      assert.deepEqual(transmitter.orders, []);
      good.socket.write(Buffer.from(RECORD_13("55000000"), "hex"));
      await until(() => transmitter.ids.length === 1, "the good host's frame");
      link.publish(frames(0x66));
      await until(() => good.bytes().includes(Buffer.from(RECORD_21("66000000"), "hex")), "a frame for the good host");
    });
  }

  it("refuses a hello where no greeting was sent", async () => {
    const { link, transmitter } = await startLink({ role: "listen", port: 0, record: 13 });
    const host = await dial(link);
    host.socket.write(encodeHello());
    await once(host.socket, "close");
    assert.equal(link.counters.badRecords, 1);
    assert.deepEqual(transmitter.orders, []);
  });

  it("answers a hello that comes after the wait", async () => {
    const { link } = await startLink({ role: "listen", port: 0, timing: { ...QUICK, holdMs: 10 } });
    const host = await dial(link);
    await until(() => link.peers[0]?.mode === "records", "the end of the wait");
    link.publish(frames(1));
    host.socket.write(encodeHello());
    await until(() => link.peers[0]?.mode === "extended", "the upgrade");
    await until(() => host.bytes().length === 73, "greeting, a record, the accept, and the edge's clock");
    assert.equal(host.bytes().subarray(55, 59).toString(), "CNFA");
    assert.equal(host.bytes()[63], TAG_CLOCK);
  });

  it("tells its clock each time that a heartbeat would be due, however much else it says", async () => {
    const { link } = await startLink({ role: "listen", port: 0, timing: { ...QUICK, heartbeatMs: 20 } });
    const host = await dial(link);
    host.socket.write(encodeHello());
    await until(() => link.peers[0]?.mode === "extended", "the upgrade");
    const clocks: number[] = [];
    const stream = new EdgeItemStream({
      frames: () => undefined,
      result: () => undefined,
      clock: (atUs) => clocks.push(atUs),
    });
    let at = 42;
    await until(() => {
      link.publish(frames(1));
      const bytes = host.bytes();
      if (bytes.length > at) stream.read(bytes.subarray(at));
      at = Math.max(at, bytes.length);
      return clocks.length > 5;
    }, "its clock");
    assert.ok(clocks.every((clock, i) => i === 0 || clock - clocks[i - 1]! >= 20_000));
  });

  it("tells hosts that the operator let in by address from those that merely came", async () => {
    for (const [allow, source] of [
      [undefined, "guest"],
      [["127.0.0.0/8"], "link"],
    ] as const) {
      const { link, transmitter } = await startLink({ role: "listen", port: 0, ...(allow && { allow }) });
      const host = await dial(link);
      host.socket.write(Buffer.from(RECORD_13("23010000") + RECORD_13("24010000"), "hex"));
      await until(() => transmitter.ids.length === 2, "two frames");
      assert.equal(transmitter.orders[0]!.source, source);
    }
  });

  it("takes connections from the allowed networks only", async () => {
    const { link } = await startLink({ role: "listen", port: 0, allow: ["10.0.0.0/8"] });
    const host = await dial(link);
    await once(host.socket, "close");
    assert.equal(link.counters.refusedPeers, 1);
    assert.equal(link.counters.connects, 0);
  });

  it("says that it is in use", async () => {
    const { link } = await startLink({ role: "listen", port: 0 });
    await assert.rejects(startLink({ role: "listen", port: link.port }), (error) =>
      isCanfleetError(error, "LINK_PORT_IN_USE"),
    );
  });
});
