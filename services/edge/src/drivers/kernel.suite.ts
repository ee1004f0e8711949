import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { afterEach, beforeEach, describe, it } from "node:test";
import { itWhere } from "./it-where.suite.ts";
import { promisify } from "node:util";
import { FLAG_OWN, FrameBatch } from "@canfleet/sdk";
import type { CanInterface } from "../can-interface.ts";
import { numbered, numbersOf, Recorder, sendAll, until } from "./recorder.suite.ts";

const run = promisify(execFile);

/** Drivers of SocketCAN, and what they can do. */
export interface KernelBus {
  name: string;
  /** The driver under test on an interface of this name. */
  create: (channel: string) => CanInterface;
  /** The same with the smallest receive queue that the kernel gives; absent where it cannot be chosen. */
  createSmall?: (channel: string) => CanInterface;
  /** Another program on the same interface. */
  other: (channel: string) => CanInterface;
}

/** An interface of the suite's own, made anew for each test. */
const CHANNEL = "vcan77";

const ip = async (...args: string[]): Promise<void> => {
  await run("ip", ["link", ...args]);
};
const add = async (mtu = 72): Promise<void> => {
  await ip("add", CHANNEL, "mtu", `${mtu}`, "type", "vcan");
  await ip("set", CHANNEL, "up");
};

/** What only a kernel can show: links that go and come back, full queues. Needs root and vcan; run it in a guest. */
export function runKernelSuite(bus: KernelBus): void {
  describe(`${bus.name} and the kernel`, () => {
    const opened: CanInterface[] = [];
    const open = async (driver: CanInterface): Promise<Recorder> => {
      const recorder = new Recorder();
      opened.push(driver);
      await driver.open(recorder);
      return recorder;
    };
    beforeEach(() => add());
    afterEach(async () => {
      for (const driver of opened.splice(0)) await driver.close();
      await ip("del", CHANNEL).catch(() => undefined); // a test may have deleted it
    });
    linkTests(bus, open);
    queueTests(bus, open);
    interfaceTests(bus, open);
  });
}

type Open = (driver: CanInterface) => Promise<Recorder>;

function linkTests(bus: KernelBus, open: Open): void {
  it("says that the link went down, refuses to send, keeps nothing, and goes on when it is up again", async () => {
    const driver = bus.create(CHANNEL);
    const seen = await open(driver);
    const other = bus.other(CHANNEL);
    const atOther = await open(other);
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await seen.take(1);

    await ip("set", CHANNEL, "down");
    await seen.linkIs("down");
    const outcome = driver.send(FrameBatch.of(...numbered(3, 0x666)));
    assert.equal(outcome.accepted, 0);
    assert.equal(outcome.refusal?.kind, "down");
    await atOther.linkIs("down");

    await ip("set", CHANNEL, "up");
    await seen.linkIs("up");
    await atOther.linkIs("up");
    await sendAll(other, FrameBatch.of(...numbered(1, 0x200)));
    await sendAll(driver, FrameBatch.of(...numbered(1, 0x201)));
    await until(() => seen.seen.some((frame) => frame.idWord === 0x200), "a frame after the link came back");
    await until(() => atOther.seen.some((frame) => frame.idWord === 0x201), "a frame sent after it came back");
    assert.ok(atOther.seen.every((frame) => frame.idWord !== 0x666));
    assert.deepEqual(seen.links, ["down", "up"]);
  });

  itWhere(isToldOfLinks(bus))("notices a link that was down for a moment only", async () => {
    const seen = await open(bus.create(CHANNEL));
    await run("sh", ["-c", `ip link set ${CHANNEL} down; ip link set ${CHANNEL} up`]);
    await seen.linkIs("up");
    assert.deepEqual(seen.links, ["down", "up"]);
  });

  it("opens an interface that is down, says so, and reads when it comes up", async () => {
    await ip("set", CHANNEL, "down");
    const seen = await open(bus.create(CHANNEL));
    await seen.linkIs("down");
    await ip("set", CHANNEL, "up");
    await seen.linkIs("up");
    const other = bus.other(CHANNEL);
    await open(other);
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await seen.take(1);
  });

  it("finds an interface again that was deleted and made anew, with its filters, and says that it missed some", async () => {
    const driver = bus.create(CHANNEL);
    const seen = await open(driver);
    driver.setFilters([{ id: 0x100, mask: 0x700 }]);
    seen.losses.length = 0;
    await ip("del", CHANNEL);
    await seen.linkIs("gone");
    assert.equal(driver.send(FrameBatch.of(...numbered(1))).refusal?.kind, "down");

    await add();
    await seen.linkIs("up");
    const other = bus.other(CHANNEL);
    const atOther = await open(other);
    await sendAll(other, FrameBatch.of({ idWord: 0x200 }, { idWord: 0x100 }));
    assert.equal((await seen.take(1))[0]!.idWord, 0x100);
    await sendAll(driver, FrameBatch.of({ idWord: 0x101 }));
    await until(() => atOther.seen.some((frame) => frame.idWord === 0x101), "a frame on the new interface");
    assert.ok(seen.losses.length > 0 && seen.losses.every((frames) => frames === null));
  });
}

/** Why a driver that has to look by itself cannot see everything. */
/** The driver that counts losses is the one that the kernel tells of link changes; the other one has to ask. */
function isToldOfLinks(bus: KernelBus): boolean {
  return bus.create(CHANNEL).capabilities.losses === "counted";
}

function queueTests(bus: KernelBus, open: Open): void {
  it("says how many were taken when the transmit queue is full, and sends exactly those", async () => {
    await run("tc", ["qdisc", "add", "dev", CHANNEL, "root", "tbf", "rate", "8kbit", "burst", "200", "limit", "400"]);
    const driver = bus.create(CHANNEL);
    await open(driver);
    const atOther = await open(bus.other(CHANNEL));
    const outcome = driver.send(FrameBatch.of(...numbered(200)));
    assert.ok(outcome.accepted > 0 && outcome.accepted < 200, `${outcome.accepted} accepted`);
    assert.equal(outcome.refusal?.kind, "no-buffer");
    assert.equal(outcome.refusal.errno, driver.capabilities.sendErrors === "errno" ? "ENOBUFS" : "unknown");
    const numbers = numbersOf(await atOther.take(outcome.accepted));
    assert.deepEqual(
      numbers,
      Array.from({ length: outcome.accepted }, (_, i) => i),
    );
    const rest = FrameBatch.of(...numbered(outcome.accepted + 1));
    await until(() => driver.send(rest, outcome.accepted).accepted === 1, "room in the queue");
    assert.equal(numbersOf(await atOther.take(outcome.accepted + 1)).at(-1), outcome.accepted);
  });

  const create = bus.createSmall;
  itWhere(create !== undefined)("counts exactly what the receive queue dropped", async () => {
    const seen = await open(create!(CHANNEL));
    const other = bus.other(CHANNEL);
    const atOther = await open(other);
    for (let round = 1; round <= 3; round++) {
      // The event loop does not turn between these: nobody reads until they are all on the bus.
      const outcome = other.send(FrameBatch.of(...numbered(2000)));
      assert.deepEqual(outcome, { accepted: 2000 });
      await atOther.take(round * 2001 - 1);
      await sendAll(other, FrameBatch.of({ idWord: 0x7ff }));
      const all = round * 2001;
      await until(
        () => seen.seen.length + seen.lostFrames === all,
        `${all} frames in all`,
        () => `${seen.seen.length} seen, ${seen.lostFrames} lost`,
      );
    }
    assert.ok(seen.lostFrames > 0);
    assert.ok(seen.losses.every((frames) => frames !== null && frames > 0));
  });
}

function interfaceTests(bus: KernelBus, open: Open): void {
  it("refuses CAN FD on a classic interface as something it can never send", async () => {
    await ip("del", CHANNEL);
    await add(16);
    const driver = bus.create(CHANNEL);
    await open(driver);
    const atOther = await open(bus.other(CHANNEL));
    const fd = { idWord: 0x100, data: new Uint8Array(12), flags: 1 };
    const outcome = driver.send(FrameBatch.of({ idWord: 0x101 }, fd, { idWord: 0x102 }));
    assert.equal(outcome.accepted, 1);
    assert.equal(outcome.refusal?.kind, "unsupported");
    assert.equal(driver.capabilities.fd, false);
    assert.equal((await atOther.take(1))[0]!.idWord, 0x101);
  });

  it("marks what other programs of this host send, where it can tell", async () => {
    const driver = bus.create(CHANNEL);
    const seen = await open(driver);
    const other = bus.other(CHANNEL);
    await open(other);
    await sendAll(other, FrameBatch.of({ idWord: 0x100 }));
    const [frame] = await seen.take(1);
    assert.equal(frame!.flags, driver.capabilities.ownFrames === "marked" ? FLAG_OWN : 0);
  });
}
