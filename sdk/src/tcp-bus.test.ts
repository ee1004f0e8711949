import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { FrameBatch } from "./can/frame-batch.ts";
import { Message } from "./can/message.ts";
import { TCPBus, type TCPListenOptions } from "./tcp-bus.ts";
import { encodeRecords, type RecordSize } from "./wire/record.ts";

const T0 = 1_700_000_000_000_000;

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > endMs) assert.fail(`waited 20 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function startBus(options: TCPListenOptions = {}): Promise<TCPBus> {
  const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false, ...options });
  open.push(() => bus.shutdown());
  return bus;
}

/** A client as socketsocketcan's: it says nothing but records, and reads each write as one piece. */
async function startClient(bus: TCPBus, localAddress = "127.0.0.1"): Promise<{ socket: Socket; reads: Buffer[] }> {
  const socket = connect({ port: bus.port!, host: "127.0.0.1", localAddress, noDelay: true });
  const reads: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => reads.push(chunk));
  socket.on("error", () => undefined);
  open.push(() => socket.destroy());
  await once(socket, "connect");
  return { socket, reads };
}

function traffic(count: number): FrameBatch {
  const frames = Array.from({ length: count }, (_, i) => ({
    timestampUs: T0 + i * 100,
    idWord: i % 2 === 0 ? 0x100 + (i % 0x600) : (0x90000000 + i) >>> 0,
    data: Uint8Array.from({ length: 8 }, (_, n) => 200 - ((i + n) % 100)),
  }));
  return FrameBatch.of(...frames);
}

function recordsOf(batch: FrameBatch, size: RecordSize): Uint8Array {
  const bytes = new Uint8Array(batch.count * size);
  encodeRecords(batch, size, bytes);
  return bytes;
}

describe("TCPBus and a socketsocketcan client", () => {
  for (const size of [21, 29, 13] as const) {
    it(`reads ${size}-byte records that come in odd pieces`, async () => {
      const bus = await startBus();
      const { socket } = await startClient(bus);
      const bytes = recordsOf(traffic(40), size);
      for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7) % 31) {
        socket.write(bytes.subarray(at, at + step));
        await new Promise((resolve) => setImmediate(resolve));
      }
      for (let i = 0; i < 40; i++) {
        const message = (await bus.recv({ timeoutMs: 20_000 }))!;
        const wanted = Message.fromBatch(traffic(40), i);
        assert.equal(message.idWord, wanted.idWord);
        assert.deepEqual(message.data, wanted.data);
        if (size !== 13) assert.equal(message.timestampUs, wanted.timestampUs);
        assert.equal(message.isRx, undefined);
        assert.equal(message.isFd, false);
      }
      assert.equal(bus.link, "records");
    });
  }

  it("gives a single frame of a quiet bus without waiting for the next", async () => {
    const bus = await startBus();
    const { socket } = await startClient(bus);
    socket.write(recordsOf(traffic(1), 29));
    assert.equal((await bus.recv({ timeoutMs: 20_000 }))?.arbitrationId, 0x100);
  });

  it("sends it whole 13-byte records, nothing before and nothing between them", async () => {
    const bus = await startBus();
    const { reads } = await startClient(bus);
    for (let i = 0; i < 1000; i++)
      await bus.send(new Message({ arbitrationId: i, data: [i & 255] }), { ttlMs: 20_000 });
    await until(() => Buffer.concat(reads).length >= 13_000, "1,000 records");
    const bytes = Buffer.concat(reads);
    assert.equal(bytes.length, 13_000);
    for (let i = 0; i < 1000; i++) {
      const record = bytes.subarray(i * 13, i * 13 + 13);
      assert.equal(
        record.toString("hex"),
        Buffer.from([i & 255, i >> 8, 0, 0, 1, i & 255, 0, 0, 0, 0, 0, 0, 0]).toString("hex"),
      );
    }
  });

  it("refuses what a record cannot hold or tell", async () => {
    const bus = await startBus({ record: 21 });
    await startClient(bus);
    await until(() => bus.isConnected, "the client");
    const refused = { code: "WIRE_CANNOT_CARRY" };
    await assert.rejects(bus.send(new Message(), { confirm: true }), refused);
    const errors: Error[] = [];
    bus.on("error", (error) => errors.push(error));
    await bus.send(new Message({ data: new Uint8Array(12) }));
    await bus.send(new Message({ data: new Uint8Array(8), dlc: 9 }));
    await until(() => errors.length === 2, "two refusals");
    for (const error of errors) assert.equal((error as { code?: string }).code, "WIRE_CANNOT_CARRY");
  });

  it("goes on after rubbish, and says that some are lost", async () => {
    const bus = await startBus();
    const lost: unknown[] = [];
    bus.on("loss", (loss) => lost.push(loss.lost));
    const { socket } = await startClient(bus);
    socket.write(recordsOf(traffic(3), 21));
    socket.write(new Uint8Array(50).fill(0x0f));
    socket.write(recordsOf(traffic(3), 21));
    for (let i = 0; i < 6; i++) assert.ok(await bus.recv({ timeoutMs: 20_000 }));
    assert.deepEqual(lost, [{ link: null }]);
  });

  it("survives the client's end, and says that nobody knows what was lost meanwhile", async () => {
    const bus = await startBus();
    const events: string[] = [];
    bus.on("connect", () => events.push("connect"));
    bus.on("disconnect", () => events.push("disconnect"));
    bus.on("loss", (loss) => events.push(JSON.stringify(loss.lost)));
    for (let n = 0; n < 2; n++) {
      const { socket } = await startClient(bus);
      socket.write(recordsOf(traffic(3), 21));
      for (let i = 0; i < 3; i++) assert.ok(await bus.recv({ timeoutMs: 20_000 }));
      socket.destroy();
      await until(() => !bus.isConnected, "the end");
    }
    assert.deepEqual(events, ["connect", "disconnect", "connect", '{"link":null}', "disconnect"]);
  });

  it("takes one client at a time, and another once that one has gone", async () => {
    const bus = await startBus();
    const first = await startClient(bus);
    first.socket.write(recordsOf(traffic(2), 21));
    await until(() => bus.isConnected, "the first client");
    const second = await startClient(bus, "127.0.0.2");
    await once(second.socket, "close");
    assert.equal(bus.counters.refusedPeers, 1);
    assert.ok(bus.isConnected);
    first.socket.destroy();
    await until(() => !bus.isConnected, "the first one's end");
    const third = await startClient(bus, "127.0.0.2");
    third.socket.write(recordsOf(traffic(2), 21));
    await until(() => bus.isConnected, "the third client");
  });

  it("lets a client that dials again replace its own dead connection", async () => {
    const bus = await startBus({ timing: { heartbeatMs: 40 } });
    await startClient(bus);
    await until(() => bus.isConnected, "the first connection");
    await until(() => bus.counters.connects === 1, "the first connection");
    await new Promise((resolve) => setTimeout(resolve, 150));
    const again = await startClient(bus);
    again.socket.write(recordsOf(traffic(2), 21));
    await until(() => bus.counters.connects === 2, "the second connection");
    assert.equal((await bus.recv({ timeoutMs: 20_000 }))?.arbitrationId, 0x100);
  });
});

describe("TCPBus", () => {
  it("says that the port is in use", async () => {
    const bus = await startBus();
    await assert.rejects(TCPBus.listen(bus.port!, { hostname: "127.0.0.1", wait: false }), {
      code: "LINK_PORT_IN_USE",
    });
  });

  it("listens again at once on a port that was in use", async () => {
    const bus = await startBus();
    const port = bus.port!;
    const { socket } = await startClient(bus);
    await until(() => bus.isConnected, "the client");
    await bus.shutdown();
    await until(() => socket.destroyed || socket.closed, "its end");
    const again = await TCPBus.listen(port, { hostname: "127.0.0.1", wait: false });
    await again.shutdown();
  });

  it("takes connections from the allowed networks only", async () => {
    const bus = await startBus({ allow: ["127.0.0.2", "10.0.0.0/8"] });
    const { socket } = await startClient(bus);
    await once(socket, "close");
    assert.equal(bus.counters.refusedPeers, 1);
    await startClient(bus, "127.0.0.2");
    await until(() => bus.isConnected, "the allowed client");
  });

  for (const wrong of ["nonsense", "10.0.0.0/33", "10.0.0.0/x", ""]) {
    it(`refuses "${wrong}" as a network`, async () => {
      await assert.rejects(TCPBus.listen(0, { allow: [wrong], wait: false }), RangeError);
    });
  }

  it("resolves listen when the edge has connected", async () => {
    const free = await startBus();
    const port = free.port!;
    await free.shutdown();
    const listening = TCPBus.listen(port, { hostname: "127.0.0.1" });
    const socket = connect(port, "127.0.0.1");
    const bus = await listening;
    open.push(
      () => socket.destroy(),
      () => bus.shutdown(),
    );
    assert.ok(bus.isConnected);
  });

  it("dials until somebody listens", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const failures: string[] = [];
    const connecting = TCPBus.connect("127.0.0.1", port, {
      timing: { firstRetryMs: 10, maxRetryMs: 50 },
      log: (text) => failures.push(text),
    });
    await until(() => failures.length >= 3, "three failures");
    const sockets: Socket[] = [];
    const late = createServer((socket) => sockets.push(socket));
    late.listen(port, "127.0.0.1");
    const bus = await connecting;
    await bus.shutdown();
    sockets.forEach((socket) => socket.destroy());
    late.close();
  });

  it("hands what was sent before to the peer when it is shut down", async () => {
    const bus = await startBus({ record: 21 });
    const { reads, socket } = await startClient(bus);
    await until(() => bus.isConnected, "the client");
    for (let i = 0; i < 300; i++) await bus.send(new Message({ arbitrationId: i }), { ttlMs: 20_000 });
    await bus.shutdown();
    await until(() => socket.closed, "the end");
    assert.equal(Buffer.concat(reads).length, 300 * 13);
  });
});
