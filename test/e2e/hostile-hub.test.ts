import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Aedes } from "aedes";
import { openBus, parseBusSpec } from "@canfleet/edge";
import {
  decodePing,
  decodeSendReport,
  encodeHello,
  encodeHostFrame,
  encodeRecords,
  encodeSendRequest,
  FLAG_FD,
  FrameBatch,
  type Bus,
  type EdgeTime,
  type FrameParts,
  type SendCode,
} from "@canfleet/sdk";
import { canfleet, ownFolder } from "./support/canfleet.ts";
import { Program } from "./support/program.ts";
import { PATIENCE_MS, until } from "./support/until.ts";

/** Frames that the rule for 124 lets through at once; it earns one more in 100 s. */
const BURST = 10;
/** The cap of the bus, frames a second, and what comes in the flood. */
const CAP_HZ = 50;
const FLOOD_FRAMES = 2000;
/** More than the cap lets through at once, so that it holds on the slowest machine. */
const FRAMES_A_REQUEST = 250;
/** A connection that lived so long is made anew at once. */
const LIFE_MS = 300;
const EFF = 0x80000000;
const TTL_MS = 60_000;
const DENIED = 1;
const EXPIRED = 2;

/** Each frame that anybody asks for has a number of its own in its first 4 bytes. */
let lastNumber = 0;

function frame(idWord: number, { bytes = 4, flags = 0 } = {}): { parts: FrameParts; number: number } {
  const number = ++lastNumber;
  const data = new Uint8Array(bytes);
  new DataView(data.buffer).setUint32(0, number);
  return { parts: { idWord, data, flags, timestampUs: 0 }, number };
}

/** A hub that does as it likes: a plain broker, and whoever holds it. */
class HostileHub {
  readonly answers = new Map<string, SendCode[]>();
  refusals: { [reason: string]: number } = {};
  now: EdgeTime | undefined;
  readonly #aedes: Aedes;
  #edge: { close(): void } | undefined;
  readonly port: number;

  private constructor(aedes: Aedes, port: number) {
    this.#aedes = aedes;
    this.port = port;
    aedes.on("client", (client) => (this.#edge = client));
    aedes.on("publish", ({ topic, payload }, client) => {
      if (client) this.#heard(topic, Buffer.from(payload as Buffer));
    });
  }

  static async start(stop: (close: () => void) => void): Promise<HostileHub> {
    const aedes = await Aedes.createBroker();
    const server = createServer(aedes.handle);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    stop(() => {
      server.close();
      aedes.close();
    });
    return new HostileHub(aedes, (server.address() as AddressInfo).port);
  }

  #heard(topic: string, payload: Buffer): void {
    if (topic === "canfleet/pi/ping") {
      const ping = decodePing(payload);
      if (ping) this.now = { clock: ping.clock, atUs: ping.at };
    } else if (topic === "canfleet/pi/can0/sent") {
      const { nonce, results } = decodeSendReport(payload);
      const key = Buffer.from(nonce).toString("hex");
      this.answers.set(key, [...(this.answers.get(key) ?? []), ...results]);
    } else if (topic === "canfleet/pi/can0/status") {
      const { refusals } = JSON.parse(payload.toString()) as { refusals: { [reason: string]: number } };
      this.refusals = refusals;
    }
  }

  /** Ends the edge's connection, which makes it come back and be given all that is retained. */
  hangUp(): void {
    this.#edge?.close();
  }

  publish(topic: string, payload: Uint8Array | string, more: { retain?: boolean; dup?: boolean } = {}): Promise<void> {
    const { retain = false, dup = false } = more;
    return new Promise((resolve, reject) => {
      const packet = { cmd: "publish" as const, topic, payload: Buffer.from(payload), qos: 1 as const, retain, dup };
      this.#aedes.publish(packet, (error) => (error ? reject(error) : resolve()));
    });
  }

  send(payload: Uint8Array, more: { retain?: boolean; dup?: boolean } = {}): Promise<void> {
    return this.publish("canfleet/pi/can0/send", payload, more);
  }

  /** Waits until the request has had so many answers. */
  answersTo(nonce: Uint8Array, count = 1): Promise<SendCode[]> {
    const key = Buffer.from(nonce).toString("hex");
    return until(`${count} answers`, () => {
      const answers = this.answers.get(key);
      return answers && answers.length >= count ? answers : undefined;
    });
  }
}

/** A host that the edge dials, which does as it likes, too. */
class HostileHost {
  readonly sockets: Socket[] = [];
  #connectedMs = 0;
  port = 0;

  async start(stop: (close: () => void) => void): Promise<void> {
    const server = createServer((socket) => {
      socket.on("error", () => undefined).on("data", () => undefined);
      this.sockets.push(socket);
      this.#connectedMs = performance.now();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.port = (server.address() as AddressInfo).port;
    stop(() => {
      server.close();
      for (const socket of this.sockets) socket.destroy();
    });
  }

  /** Says something on the connection of now, and waits for the next one where that ends this one. */
  async say(bytes: Uint8Array, endsIt: boolean): Promise<void> {
    const socket = await until("the edge", () => this.sockets.findLast(({ destroyed }) => !destroyed));
    const count = this.sockets.length;
    if (endsIt) await sleep(Math.max(0, LIFE_MS - (performance.now() - this.#connectedMs)));
    socket.write(bytes);
    if (endsIt) await until("another connection", () => this.sockets.length > count && socket.destroyed);
  }
}

function records(...parts: FrameParts[]): Uint8Array {
  const bytes = new Uint8Array(13 * parts.length);
  encodeRecords(FrameBatch.of(...parts), 13, bytes);
  return bytes;
}

function items(...parts: FrameParts[]): Uint8Array {
  const target = new Uint8Array(80 * parts.length);
  const batch = FrameBatch.of(...parts);
  let end = 0;
  for (let i = 0; i < parts.length; i++) {
    end = encodeHostFrame(batch, i, i + 1, TTL_MS, target, new DataView(target.buffer), end);
  }
  return target.subarray(0, end);
}

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = value;
  return copy;
}

describe("an edge between a hostile hub and a hostile host", { timeout: 6 * PATIENCE_MS }, () => {
  const name = `hostile${process.pid % 100_000}`;
  const host = new HostileHost();
  const closers: (() => unknown)[] = [];
  const stop = (close: () => unknown): number => closers.push(close);
  let hub: HostileHub;
  let bus: Bus;
  /** What the bus saw, in order, by number. */
  const onBus: number[] = [];
  /** What it may have seen. */
  const allowed = new Set<number>();
  const retained = randomBytes(16);
  /** Requests that were executed, to be said once more. */
  const executed: { nonce: Buffer; payload: Uint8Array }[] = [];
  const expectedRefusals = { retained: 0, duplicate: 0, list: 0, expired: 0, unreadable: 0 };

  before(async () => {
    hub = await HostileHub.start(stop);
    await host.start(stop);
    bus = await openBus(parseBusSpec(`sim:${name}`), { hub: undefined, base: "canfleet", log: () => undefined });
    stop(() => bus.shutdown());
    bus.on("batch", (batch) => {
      for (let i = 0; i < batch.count; i++) {
        const [from, end] = [batch.dataOffset[i]!, batch.dataOffset[i + 1]!];
        onBus.push(end - from >= 4 ? new DataView(batch.data.buffer, batch.data.byteOffset).getUint32(from) : -1);
      }
    });
    await hub.send(encodeSendRequest(retained, TTL_MS, FrameBatch.of(frame(0x123).parts)), { retain: true });
    expectedRefusals.retained++;
    const config = [
      "edge:",
      "  name: pi",
      `  hub: mqtt://127.0.0.1:${hub.port}`,
      "  buses:",
      `    - channel: sim:${name}`,
      "      name: can0",
      `      maxSendHz: ${CAP_HZ}`,
      "      send:",
      '        - { id: "123", from: mqtt, dlc: 0-4, fd: false }',
      `        - { id: "124", from: mqtt, maxRateHz: 0.01, burst: ${BURST} }`,
      '        - { id: "200", from: link }',
      "      links:",
      `        - { host: 127.0.0.1, port: ${host.port} }`,
    ];
    const file = join(ownFolder(), "hostile.yaml");
    writeFileSync(file, `${config.join("\n")}\n`);
    const edge = canfleet("edge", "--config", file);
    await until("the edge's clock", () => {
      assert.equal(edge.ended, undefined, edge.stderr);
      return hub.now;
    });
    assert.deepEqual(await hub.answersTo(retained), ["denied"]);
  });
  after(async () => {
    await Program.killAll();
    for (const close of closers.reverse()) await close();
  });

  /** Sends frames as one good request; `at` is a time of the edge's own clock, so that no pause of this machine counts. */
  function request(frames: FrameParts[], { nonce = randomBytes(16), at = hub.now, ttlMs = TTL_MS } = {}): Uint8Array {
    return encodeSendRequest(nonce, ttlMs, FrameBatch.of(...frames), 0, frames.length, at, "whoever I like");
  }

  async function assertAnswer(made: { parts: FrameParts; number: number }, wanted: SendCode): Promise<void> {
    const nonce = randomBytes(16);
    await hub.send(request([made.parts], { nonce }));
    assert.deepEqual(await hub.answersTo(nonce), [wanted]);
    if (wanted === "sent") allowed.add(made.number);
  }

  it("executes what its rules name once, however often it comes", async () => {
    for (const dup of [false, true]) {
      const nonce = randomBytes(16);
      const { parts, number } = frame(0x123);
      const payload = request([parts], { nonce });
      for (let n = 0; n < 3; n++) await hub.send(payload, { dup });
      assert.deepEqual((await hub.answersTo(nonce, 3)).sort(), ["duplicate", "duplicate", "sent"]);
      allowed.add(number);
      executed.push({ nonce, payload });
      expectedRefusals.duplicate += 2;
      // Another frame under a nonce that was used.
      await hub.send(request([frame(0x123).parts], { nonce }));
      await hub.answersTo(nonce, 4);
      expectedRefusals.duplicate++;
    }
  });

  it("denies what no rule names", async () => {
    const strangers = [
      frame(0x125),
      frame((EFF | 0x123) >>> 0),
      frame(0x123, { bytes: 5 }),
      frame(0x123, { bytes: 4, flags: FLAG_FD }),
      frame(0x200),
    ];
    for (const made of strangers) await assertAnswer(made, "denied");
    expectedRefusals.list += strangers.length;
  });

  it("lets what is too old, or of an unknown age, expire", async () => {
    const { clock, atUs } = hub.now!;
    const ages: [at: EdgeTime, ttlMs: number][] = [
      [{ clock, atUs: 0 }, 1],
      [{ clock: (clock + 1) >>> 0, atUs }, TTL_MS],
      [{ clock, atUs: atUs + 3_600_000_000 }, TTL_MS],
    ];
    for (const [at, ttlMs] of ages) {
      const nonce = randomBytes(16);
      await hub.send(request([frame(0x123).parts], { nonce, at, ttlMs }));
      assert.deepEqual(await hub.answersTo(nonce), ["expired"]);
      expectedRefusals.expired++;
    }
  });

  it("executes nothing that it cannot read", async () => {
    const nonce = randomBytes(16);
    const good = request([frame(0x123).parts], { nonce });
    const bad = [
      new Uint8Array(0),
      randomBytes(64),
      good.subarray(0, good.length - 3),
      Buffer.concat([good, good]),
      request([frame(0x123).parts], { nonce: randomBytes(15) }),
      request([frame(0x123).parts], { ttlMs: 0 }),
      request([frame(0x123).parts], { ttlMs: TTL_MS + 1 }),
      // A map that says it has 4 billion entries, and one in one in one.
      Buffer.from("bb0000000100000000", "hex"),
      Buffer.alloc(4096, 0xa1),
    ];
    for (const payload of bad) await hub.send(payload);
    expectedRefusals.unreadable += bad.length;
    for (const topic of ["request", "send/more", "sent", "frames"]) {
      await hub.publish(`canfleet/pi/can0/${topic}`, good);
    }
    await hub.publish("canfleet/other/can0/send", good);
    await hub.publish("canfleet/pi/state", '{"state":"offline"}', { retain: true });
    await until("the count", () => (hub.refusals.unreadable ?? 0) >= expectedRefusals.unreadable);
    assert.equal(hub.answers.get(nonce.toString("hex")), undefined);
  });

  it("executes nothing once more after it was disconnected", async () => {
    hub.hangUp();
    assert.deepEqual(await hub.answersTo(retained, 2), ["denied", "denied"]);
    expectedRefusals.retained++;
    for (const { nonce, payload } of executed) {
      await hub.send(payload);
      assert.equal((await hub.answersTo(nonce, 5)).at(-1), "duplicate");
      expectedRefusals.duplicate++;
    }
  });

  it("keeps a rule's rate, at ten times that", async () => {
    const startedMs = performance.now();
    const made = Array.from({ length: 10 * BURST }, () => ({ nonce: randomBytes(16), ...frame(0x124) }));
    for (const { nonce, parts } of made) await hub.send(request([parts], { nonce }));
    const sent: number[] = [];
    for (const { nonce, number } of made) if ((await hub.answersTo(nonce))[0] === "sent") sent.push(number);
    for (const number of sent) allowed.add(number);
    const earned = (performance.now() - startedMs) / 100_000;
    assert.ok(sent.length >= BURST && sent.length <= BURST + earned + 1, `${sent.length} of a burst of ${BURST}`);
  });

  it("takes from a host what the rules name, and ends the connection at what is no frame", async () => {
    const two = [frame(0x200), frame(0x200)];
    await host.say(records(...two.map(({ parts }) => parts)), false);
    for (const { number } of two) allowed.add(number);
    await until("them on the bus", () => two.every(({ number }) => onBus.includes(number)));
    await host.say(records(frame(0x201).parts, frame(0x123).parts), false);
    expectedRefusals.list += 2;
    const one = records(frame(0x200).parts);
    const bad: Uint8Array[] = [
      // DLC 9, DLC 255, an error frame, an id that is none; a good record in the same read goes with it.
      Buffer.concat([one, changed(one, 4, 9)]),
      changed(one, 4, 255),
      changed(one, 3, 0x20),
      changed(one, 3, 0x1f),
    ];
    for (const bytes of bad) {
      await host.say(bytes, true);
      expectedRefusals.unreadable++;
    }
  });

  it("takes from a host on the extended link what the rules name, and answers the rest", async () => {
    const good = frame(0x200, { bytes: 64, flags: FLAG_FD });
    await host.say(encodeHello(), false);
    const socket = host.sockets.at(-1)!;
    const answers: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => answers.push(chunk));
    const heard = (item: Buffer): boolean => Buffer.concat(answers).includes(item);
    // Result items: tag 132, 13 bytes, number u32, code u8.
    const result = (number: number, code: number): Buffer => Buffer.of(132, 13, number, 0, 0, 0, code);
    await host.say(items(frame(0x200).parts), false);
    expectedRefusals.expired++;
    await until("a frame of unknown age to expire", () => heard(result(1, EXPIRED)));
    const clockHead = Buffer.of(133, 8);
    const clock = await until("the edge's clock", () => {
      const all = Buffer.concat(answers);
      const at = all.indexOf(clockHead);
      return at < 0 || at + 10 > all.length ? undefined : all.subarray(at + 2, at + 10);
    });
    const asked = Buffer.concat([Buffer.of(134, 8), clock]);
    await host.say(Buffer.concat([asked, items(good.parts, frame(0x201).parts)]), false);
    allowed.add(good.number);
    expectedRefusals.list++;
    await until("both results", () => heard(result(1, 0)) && heard(result(2, DENIED)));
    // Remote and CAN FD at once; then a tag that is none.
    for (const at of [5, 0]) {
      const bytes = items(frame(0x200, { bytes: 4, flags: FLAG_FD }).parts);
      if (at === 0) await host.say(encodeHello(), false);
      await host.say(changed(bytes, at, at === 0 ? 100 : 0x40), true);
      expectedRefusals.unreadable++;
    }
  });

  it("keeps the cap of the bus in a flood, and tells each frame of it what became of it", async () => {
    const requests: [nonce: Buffer, numbers: number[]][] = [];
    for (let left = FLOOD_FRAMES; left > 0; left -= FRAMES_A_REQUEST) {
      const nonce = randomBytes(16);
      const made = Array.from({ length: FRAMES_A_REQUEST }, () => frame(0x123));
      await hub.send(
        request(
          made.map(({ parts }) => parts),
          { nonce },
        ),
      );
      requests.push([nonce, made.map(({ number }) => number)]);
    }
    const codes: { [code: string]: number } = {};
    for (const [nonce, numbers] of requests) {
      const answers = await hub.answersTo(nonce, numbers.length);
      assert.equal(answers.length, numbers.length);
      answers.forEach((code, i) => {
        codes[code] = (codes[code] ?? 0) + 1;
        if (code === "sent") allowed.add(numbers[i]!);
      });
    }
    assert.deepEqual(Object.keys(codes).sort(), ["denied", "sent"], JSON.stringify(codes));
  });

  it("has put on the bus what it allowed, each once, and counted all the rest by reason", async () => {
    await until("all of it on the bus", () => onBus.length >= allowed.size);
    assert.deepEqual(
      [...onBus].sort((a, b) => a - b),
      [...allowed].sort((a, b) => a - b),
    );
    const counted = (): boolean =>
      Object.entries(expectedRefusals).every(([reason, count]) => hub.refusals[reason] === count) &&
      (hub.refusals.rate ?? 0) > 0 &&
      (hub.refusals.cap ?? 0) > 0;
    const explain = (): string => `${JSON.stringify(expectedRefusals)}, not ${JSON.stringify(hub.refusals)}`;
    await until("the counts", counted, PATIENCE_MS, explain);
    console.log(`the bus saw ${onBus.length} of ${lastNumber} frames; refused: ${JSON.stringify(hub.refusals)}`);
  });
});
