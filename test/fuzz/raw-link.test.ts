import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { describe, it } from "node:test";
import { RawLink, type RawLinkOptions, type SendOrder, type Transmitter } from "@canfleet/edge";
import {
  CLOCK_BYTES,
  EdgeEncoder,
  encodeEdgeClock,
  encodeHeartbeat,
  encodeHello,
  encodeHostFrame,
  encodeHostProof,
  encodeRecords,
  encodeResult,
  encodeSignal,
  FLAG_BRS,
  FLAG_ESI,
  FLAG_FD,
  FrameBatch,
  isErrorWord,
  isFdLength,
  isRemoteWord,
  isValidIdWord,
  maxEncodedBytes,
  TAG_ASKED,
  TAG_CLOCK,
  TCPBus,
  type FrameParts,
  type LinkTiming,
  type RecordSize,
} from "@canfleet/sdk";
import { assertPrototypesAreClean, cases, heapBytes, Random, SEED } from "./support.ts";

/** In CI a few seconds; with SOAK=1 250,000 in all. */
const CASES = process.env.SOAK === "1" ? 50_000 : cases(200);
const LIMIT_MS = 60_000;
const MAX_GROWTH_BYTES = 64 * 1024 * 1024;
const T0 = 1_700_000_000_000_000;
/** Connections at a time. */
const LANES = 8;
/** Peers are rude: connections end early, and come again at once. */
const TIMING: Partial<LinkTiming> = { firstRetryMs: 1, maxRetryMs: 1, quietMs: 5, greetingWaitMs: 5, holdMs: 5 };

/** What a kernel would take: nothing else may ever be asked of a bus, or be handed out by one. */
function assertIsFrame(frames: FrameBatch, i: number, mayBeError: boolean): void {
  const [idWord, length, dlc, flags] = [frames.idWord[i]!, frames.length[i]!, frames.dlc[i]!, frames.flags[i]!];
  const stored = frames.dataOffset[i + 1]! - frames.dataOffset[i]!;
  const what = `id ${idWord.toString(16)}, length ${length}, DLC ${dlc}, flags ${flags}, ${stored} bytes, seed ${SEED}`;
  assert.ok(isValidIdWord(idWord), what);
  assert.ok(mayBeError || !isErrorWord(idWord), what);
  const isFd = (flags & FLAG_FD) !== 0;
  if (isFd) assert.ok(isFdLength(length) && !isRemoteWord(idWord) && !isErrorWord(idWord), what);
  else assert.ok(length <= 8 && dlc <= 15 && (dlc <= 8 || length === 8) && !(flags & (FLAG_BRS | FLAG_ESI)), what);
  assert.equal(stored, isRemoteWord(idWord) ? 0 : length, what);
}

/** A bus that takes only what a real one would. */
class RecordingBus implements Transmitter {
  frames = 0;

  submit({ frames, settled }: SendOrder): void {
    for (let i = 0; i < frames.count; i++) {
      assertIsFrame(frames, i, false);
      settled?.(i, "sent", T0);
    }
    this.frames += frames.count;
  }
}

function someFrame(random: Random): FrameParts {
  const isExtended = random.below(2) === 0;
  const idWord = isExtended ? (0x80000000 | random.below(0x20000000)) >>> 0 : random.below(0x800);
  if (random.below(4) === 0) {
    const data = Uint8Array.from({ length: random.pick([0, 8, 12, 64]) }, () => random.below(256));
    return { idWord, data, flags: FLAG_FD | random.pick([0, FLAG_BRS, FLAG_ESI]), timestampUs: T0 };
  }
  const data = Uint8Array.from({ length: random.below(9) }, () => random.below(256));
  if (random.below(6) === 0) return { idWord: (idWord | 0x40000000) >>> 0, data, timestampUs: T0 };
  return { idWord, data, timestampUs: T0 };
}

function batchOf(random: Random): FrameBatch {
  const batch = FrameBatch.of(...Array.from({ length: 1 + random.below(5) }, () => someFrame(random)));
  batch.epoch = T0;
  batch.seq = random.below(1000);
  return batch;
}

function recordsOf(random: Random, size: RecordSize): Uint8Array {
  const batch = batchOf(random);
  const target = new Uint8Array(size * batch.count);
  return target.subarray(0, encodeRecords(batch, size, target).bytes);
}

/** Sets the DLC of a record, or id bits, to what none may have. */
function spoil(bytes: Uint8Array, size: number, random: Random): Uint8Array {
  const at = size * random.below(Math.max(1, Math.floor(bytes.length / size))) + size - 13;
  if (at + 13 > bytes.length) return bytes;
  if (random.below(2) === 0) bytes[at + 4] = 9 + random.below(247);
  else bytes[at + 3]! |= random.pick([0x20, 0x40, 0x60, 0xe0]);
  return bytes;
}

/** Sets a frame's tag or flags to pairs that no frame has: remote CAN FD, classic with a bit rate, too long. */
function spoilItem(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.below(2) === 0) bytes[0] = random.below(256);
  else bytes[1] = random.below(256);
  if (random.below(2) === 0) bytes[5]! |= 0x40;
  return bytes;
}

function randomBytes(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.below(200) }, () => random.below(256));
}

/** A time of the edge's clock up to two seconds ago, which here is the host's, or nothing. */
function aboutNow(tag: typeof TAG_ASKED | typeof TAG_CLOCK, random: Random): Uint8Array {
  const item = new Uint8Array(CLOCK_BYTES);
  encodeEdgeClock(tag, Math.floor((performance.now() - random.below(2000)) * 1000), item, 0);
  return item.subarray(0, random.below(4) === 0 ? 0 : CLOCK_BYTES);
}

/** What a hostile host sends. */
function hostBytes(random: Random): Uint8Array {
  const target = new Uint8Array(600);
  const batch = batchOf(random);
  let end = 0;
  for (let i = 0; i < batch.count; i++) {
    end = encodeHostFrame(batch, i, random.below(3), random.below(2000), target, new DataView(target.buffer), end);
  }
  const items = Buffer.concat([aboutNow(TAG_ASKED, random), target.subarray(0, end), encodeHeartbeat(1)]);
  switch (random.below(6)) {
    case 0:
      return randomBytes(random);
    case 1:
      return recordsOf(random, 13);
    case 2:
      return random.mutate(spoil(recordsOf(random, 13), 13, random));
    case 3:
      return Buffer.concat([encodeHello(), items]);
    case 4:
      return Buffer.concat([encodeHello(), spoilItem(items, random)]);
    default:
      return Buffer.concat([encodeHello(), random.mutate(items)]);
  }
}

/** What a hostile edge sends. */
function edgeBytes(random: Random): Uint8Array {
  const batch = batchOf(random);
  const target = new Uint8Array(maxEncodedBytes(batch));
  const result = new Uint8Array(15);
  encodeResult(random.below(3), "sent", T0, result, 0);
  const items = Buffer.concat([
    aboutNow(TAG_CLOCK, random),
    target.subarray(0, new EdgeEncoder().encode(batch, target)),
    encodeHeartbeat(1, random.below(9)),
    result,
  ]);
  const opening = Buffer.concat([encodeSignal("greeting", T0), encodeSignal("accept", T0)]);
  const size = random.pick([13, 21, 29] as const);
  switch (random.below(7)) {
    case 0:
      return randomBytes(random);
    case 1:
      return recordsOf(random, size);
    case 2:
      return random.mutate(spoil(recordsOf(random, size), size, random));
    case 3:
      return Buffer.concat([opening, items]);
    case 4:
      return Buffer.concat([opening, spoilItem(Buffer.from(items), random)]);
    case 5:
      return Buffer.concat([encodeSignal(random.pick(["challenge", "refusal"] as const), T0), randomBytes(random)]);
    default:
      return random.mutate(Buffer.concat([opening, items]));
  }
}

/** Sends the bytes in pieces of any size, one byte at a time now and then, reads what comes, and goes. */
async function attack(socket: Socket, bytes: Uint8Array, random: Random): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined).resume();
  socket.setNoDelay();
  const pieces = random.below(3) === 0 ? [...bytes].map((byte) => Uint8Array.of(byte)) : [...random.chunks(bytes)];
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    if (random.below(8) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  if (random.below(10) === 0) await new Promise((resolve) => setTimeout(resolve, 15));
  socket.end();
  // The victim closes when we have: if it did not, this would hang, and the test fail.
  await closed;
}

async function dialEach(port: number, make: (random: Random) => Uint8Array, lanes = LANES): Promise<void> {
  let left = CASES;
  const lane = async (_: unknown, at: number): Promise<void> => {
    const random = new Random(SEED * 1000 + at);
    while (left-- > 0) {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      await attack(socket, make(random), random);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Takes connections until there were enough. */
async function awaitEach(
  make: (random: Random) => Uint8Array,
): Promise<{ server: Server; port: number; done: Promise<void> }> {
  const random = new Random(SEED * 2000);
  let left = CASES;
  let finish = (): void => undefined;
  let fail: (error: unknown) => void = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  const server = createServer((socket) => {
    attack(socket, make(random), random).then(() => {
      if (--left === 0) finish();
    }, fail);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port, done };
}

interface Edge {
  link: RawLink;
  bus: RecordingBus;
}

async function startEdge(options: Pick<RawLinkOptions, "role" | "port" | "token">): Promise<Edge> {
  const bus = new RecordingBus();
  const link = new RawLink({ host: "127.0.0.1", timing: TIMING, log: () => undefined, ...options }, bus);
  await link.start();
  return { link, bus };
}

function recordFrames(bus: TCPBus): { frames: number } {
  const counted = { frames: 0 };
  bus.on("error", () => undefined);
  bus.on("batch", (batch) => {
    for (let i = 0; i < batch.count; i++) assertIsFrame(batch, i, true);
    counted.frames += batch.count;
  });
  return counted;
}

async function boundedly(run: () => Promise<void>): Promise<void> {
  const before = heapBytes();
  await run();
  assert.ok(heapBytes() - before < MAX_GROWTH_BYTES, "memory stays bounded");
  assertPrototypesAreClean();
}

describe(`fuzz of raw links over sockets, ${CASES} connections each`, { timeout: 60 * LIMIT_MS }, () => {
  it("an edge that listens puts frames on its bus and nothing else, and serves a good host after that", async () => {
    const { link, bus } = await startEdge({ role: "listen", port: 0 });
    await boundedly(async () => {
      await dialEach(link.port, hostBytes);
      assert.ok(bus.frames > CASES / 10, "good frames, which are among them, are sent");
      assert.ok(link.counters.badRecords > CASES / 10, "bad ones are counted");
      const host = await TCPBus.connect("127.0.0.1", link.port, { timing: { greetingWaitMs: LIMIT_MS } });
      assert.equal(host.link, "extended");
      await host.shutdown();
    });
    await link.close();
  });

  it("an edge that dials puts frames on its bus and nothing else", async () => {
    const { server, port, done } = await awaitEach(hostBytes);
    const { link, bus } = await startEdge({ role: "dial", port });
    await boundedly(() => done);
    assert.ok(bus.frames > CASES / 10 && link.counters.badRecords > CASES / 10);
    await link.close();
    server.close();
  });

  it("an edge with a token puts nothing on its bus", async () => {
    const random = new Random(SEED * 3000);
    await boundedly(async () => {
      for (let n = 0; n < CASES; n += 5) {
        // Five wrong ones in a row: a sixth would have to wait.
        const { link, bus } = await startEdge({ role: "listen", port: 0, token: "a token that nobody guesses" });
        for (let guess = 0; guess < 5; guess++) {
          const socket = connect(link.port, "127.0.0.1");
          await once(socket, "connect");
          const proof = encodeHostProof(Buffer.alloc(32, random.below(256)), Buffer.alloc(32, random.below(256)));
          const opening = random.below(2) === 0 ? proof : random.mutate(proof);
          await attack(socket, Buffer.concat([opening, hostBytes(random)]), random);
        }
        assert.equal(bus.frames + link.counters.framesIn + link.counters.framesOut, 0);
        await link.close();
      }
    });
  });

  it("a host that listens hands out frames and nothing else, and takes a good edge after that", async () => {
    const bus = await TCPBus.listen(0, { hostname: "127.0.0.1", wait: false, timing: { ...TIMING, heartbeatMs: 1 } });
    const counted = recordFrames(bus);
    await boundedly(async () => {
      // One after the other, since a host has one edge at a time.
      await dialEach(bus.port!, edgeBytes, 1);
      assert.ok(counted.frames > 0 && bus.counters.skippedBytes > 0);
      const { link } = await startEdge({ role: "dial", port: bus.port! });
      const isThere = (): boolean => bus.link === "extended" && link.peers[0]?.mode === "extended";
      for (const endMs = Date.now() + LIMIT_MS; !isThere();) {
        assert.ok(Date.now() < endMs, "waited for a good edge");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await link.close();
    });
    await bus.shutdown();
  });

  it("a host that dials hands out frames and nothing else", async () => {
    const { server, port, done } = await awaitEach(edgeBytes);
    const bus = await TCPBus.connect("127.0.0.1", port, { wait: false, timing: TIMING });
    const counted = recordFrames(bus);
    await boundedly(() => done);
    assert.ok(counted.frames > CASES / 10 && bus.counters.skippedBytes > 0);
    await bus.shutdown();
    server.close();
  });
});
