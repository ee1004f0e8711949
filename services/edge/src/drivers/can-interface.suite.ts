import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { itWhere } from "./it-where.suite.ts";
import {
  ALL_FLAGS,
  EFF_FLAG,
  ERR_FLAG,
  FLAG_BRS,
  FLAG_ECHO,
  FLAG_ESI,
  FLAG_FD,
  FLAG_OWN,
  FrameBatch,
  RTR_FLAG,
  isCanfleetError,
  type FrameParts,
} from "@canfleet/sdk";
import type { CanInterface } from "../can-interface.ts";
import { numbered, numbersOf, Recorder, sendAll } from "./recorder.suite.ts";

/** A bus to run the suite on. */
export interface SuiteBus {
  name: string;
  /** The driver under test, not yet open. */
  create: () => CanInterface;
  /** Another participant on the same bus, not yet open, whose frames come from elsewhere. Can send. */
  other: () => CanInterface;
  /** The driver under test on a bus that does not exist; absent where every name exists. */
  createMissing?: () => CanInterface;
  /** Puts an error frame on the bus, as a controller would; absent where the bus has none. */
  injectError?: (idWord: number, data: Uint8Array) => Promise<void>;
  /** Whether raw codes 9–15 of classic frames are kept. Default true. */
  rawDlc?: boolean;
  /** Whether the FD error state indicator can be sent. Default true. */
  sendsEsi?: boolean;
}

const STAMP_SLACK_US = 2_000;

const CLASSIC: Record<string, FrameParts> = {
  "a base frame": { idWord: 0x7ff, data: bytes("0123456789abcdef") },
  "an extended frame": { idWord: EFF_FLAG | 0x1fffffff, data: bytes("ff") },
  "an extended frame with a small id": { idWord: EFF_FLAG | 0x123, data: bytes("0102") },
  "id 0 without data": { idWord: 0, data: bytes("") },
  "a remote frame": { idWord: RTR_FLAG | 0x100, length: 0 },
  "a remote frame that asks for 5 bytes": { idWord: RTR_FLAG | 0x100, length: 5 },
  "an extended remote frame": { idWord: EFF_FLAG | RTR_FLAG | 0x12345678, length: 8 },
};

const RAW_DLC: Record<string, FrameParts> = {
  "a classic frame with DLC 9": { idWord: 0x200, data: bytes("0011223344556677"), dlc: 9 },
  "a classic frame with DLC 15": { idWord: 0x201, data: bytes("8899aabbccddeeff"), dlc: 15 },
};

const FD: Record<string, FrameParts> = {
  "an FD frame of 64 bytes with BRS and ESI": {
    idWord: EFF_FLAG | 0xabcdef,
    data: Uint8Array.from({ length: 64 }, (_, i) => 255 - i),
    flags: FLAG_FD | FLAG_BRS | FLAG_ESI,
  },
  "an FD frame of 3 bytes": { idWord: 0x300, data: bytes("010203"), flags: FLAG_FD },
  "an FD frame of 12 bytes with BRS": { idWord: 0x301, data: new Uint8Array(12).fill(7), flags: FLAG_FD | FLAG_BRS },
};

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** What a frame must look like on arrival, apart from times and from flags that the driver cannot tell. */
function expected(parts: FrameParts, knownFlags: number): object {
  const batch = FrameBatch.of({ ...parts, idWord: parts.idWord >>> 0 });
  return {
    idWord: batch.idWord[0]!,
    length: batch.length[0]!,
    dlc: batch.dlc[0]!,
    flags: batch.flags[0]! & knownFlags,
    data: Buffer.from(batch.payload(0)).toString("hex"),
  };
}

/** What the relay relies on in every driver. Tests of abilities that a driver does not claim check that it says so. */
export function runCanInterfaceSuite(bus: SuiteBus): void {
  describe(bus.name, () => {
    const opened: CanInterface[] = [];
    const open = async (driver: CanInterface): Promise<Recorder> => {
      const recorder = new Recorder();
      opened.push(driver);
      await driver.open(recorder);
      return recorder;
    };
    const pair = async (): Promise<{
      driver: CanInterface;
      other: CanInterface;
      seen: Recorder;
      atOther: Recorder;
    }> => {
      const driver = bus.create();
      const other = bus.other();
      const seen = await open(driver);
      return { driver, other, seen, atOther: await open(other) };
    };
    afterEach(async () => {
      for (const driver of opened.splice(0)) await driver.close();
    });

    contentTests(bus, pair);
    ownFrameTests(pair);
    filterTests(bus, pair);
    refusalTests(bus, pair);
    lifeTests(bus, open, pair);
  });
}

type OpenPair = () => Promise<{ driver: CanInterface; other: CanInterface; seen: Recorder; atOther: Recorder }>;

function contentTests(bus: SuiteBus, pair: OpenPair): void {
  it("keeps the order of many frames and loses none", async () => {
    const { other, seen } = await pair();
    const frames = numbered(2000);
    // In parts, because the smallest receive queue of a kernel holds 278.
    for (let sent = 0; sent < 2000; sent += 200) {
      await sendAll(other, FrameBatch.of(...frames.slice(sent, sent + 200)));
      await seen.take(sent + 200);
    }
    const numbers = numbersOf(await seen.take(2000));
    assert.deepEqual(
      numbers,
      Array.from({ length: 2000 }, (_, i) => i),
    );
    assert.equal(seen.lostFrames, 0);
  });

  const kinds = { ...CLASSIC, ...(bus.rawDlc === false ? {} : RAW_DLC), ...(bus.create().capabilities.fd ? FD : {}) };
  for (const [kind, parts] of Object.entries(kinds)) {
    it(`receives ${kind} bit for bit`, async () => {
      const { driver, other, seen } = await pair();
      const known = ALL_FLAGS & ~driver.capabilities.unknownFlags;
      await sendAll(other, FrameBatch.of(parts, { idWord: 0x7f0, data: bytes("e4d0") }));
      const frames = (await seen.take(2)).map(({ idWord, length, dlc, flags, data }) => {
        return { idWord, length, dlc, flags: flags & known & ~FLAG_OWN, data };
      });
      assert.deepEqual(frames[0], expected(parts, known));
      assert.deepEqual(frames[1], expected({ idWord: 0x7f0, data: bytes("e4d0") }, known));
    });

    const esi = ((parts.flags ?? 0) & FLAG_ESI) !== 0;
    itWhere(!esi || bus.sendsEsi !== false)(`sends ${kind} bit for bit`, async () => {
      const { driver, atOther } = await pair();
      assert.deepEqual(driver.send(FrameBatch.of(parts)), { accepted: 1 });
      const [{ idWord, length, dlc, flags, data } = assert.fail()] = await atOther.take(1);
      const frame = { idWord, length, dlc, flags: flags & ~FLAG_OWN, data };
      assert.deepEqual(frame, expected(parts, ALL_FLAGS));
    });
  }

  itWhere(bus.injectError !== undefined)("receives error frames with their class and data", async () => {
    const { seen } = await pair();
    await bus.injectError?.(ERR_FLAG | 0x44, bytes("0004000000006080"));
    const [frame = assert.fail()] = await seen.take(1);
    assert.equal(frame.idWord, ERR_FLAG | 0x44);
    assert.equal(frame.data, "0004000000006080");
  });

  it("gives times that never go back and are those of the sending", async () => {
    const { driver, other, seen } = await pair();
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await seen.take(1); // npm's socketcan has no stamp of the kernel for the very first
    const before = Date.now() * 1000;
    for (let i = 0; i < 50; i++) await sendAll(other, FrameBatch.of(...numbered(4)));
    const times = (await seen.take(201)).slice(1).map((frame) => frame.timestampUs);
    const after = Date.now() * 1000 + 1000;
    if (driver.capabilities.timestamps === "recorded") return;
    assert.ok(times.every((time, i) => i === 0 || time >= times[i - 1]!));
    assert.ok(times[0]! >= before - STAMP_SLACK_US, `${times[0]} is before ${before}`);
    assert.ok(times.at(-1)! <= after + STAMP_SLACK_US, `${times.at(-1)} is after ${after}`);
    assert.ok(times.every(Number.isInteger));
    assert.ok(seen.seen.every((frame) => frame.timestampNs < 1000));
  });

  it("uses its batch again whatever the sink did to it", async () => {
    const { other, seen } = await pair();
    seen.onFrames = (batch) => {
      for (const column of [batch.idWord, batch.length, batch.dlc, batch.flags, batch.dataOffset, batch.data]) {
        column.fill(0xff);
      }
      batch.clear();
    };
    for (let i = 0; i < 5; i++) {
      await sendAll(other, FrameBatch.of(numbered(5)[i]!));
      await seen.take(i + 1);
    }
    assert.deepEqual(numbersOf(seen.seen), [0, 1, 2, 3, 4]);
    assert.ok(seen.seen.every((frame) => frame.idWord === 0x123 && frame.length === 4 && frame.dlc === 4));
  });
}

function ownFrameTests(pair: OpenPair): void {
  it("marks what it sent itself as echo, in order, or says that it does not see it", async () => {
    const { driver, other, seen, atOther } = await pair();
    assert.deepEqual(driver.send(FrameBatch.of(...numbered(10, 0x111))), { accepted: 10 });
    await atOther.take(10);
    await sendAll(other, FrameBatch.of(...numbered(1, 0x222)));
    if (driver.capabilities.ownFrames === "unseen") {
      assert.equal((await seen.take(1))[0]!.idWord, 0x222);
      assert.ok(driver.capabilities.unknownFlags & FLAG_OWN);
      return;
    }
    const frames = await seen.take(11);
    assert.deepEqual(numbersOf(frames.slice(0, 10)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.ok(frames.slice(0, 10).every((frame) => (frame.flags & ~FLAG_FD) === (FLAG_OWN | FLAG_ECHO)));
    assert.equal(frames[10]!.idWord, 0x222);
    assert.equal(frames[10]!.flags & FLAG_ECHO, 0);
  });

  it("says with each batch which flags mean nothing", async () => {
    const { driver, other, seen } = await pair();
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await seen.take(1);
    assert.equal(seen.unknownFlags, driver.capabilities.unknownFlags);
  });
}

const MARK = 0x700;

function filterTests(bus: SuiteBus, pair: OpenPair): void {
  const ids = [0x100, 0x101, 0x200, EFF_FLAG | 0x100].map((id) => id >>> 0);
  const batchOf = (words: number[]): FrameBatch => FrameBatch.of(...words.map((idWord) => ({ idWord })));
  const cases = {
    "one id of one format": { filters: [{ id: 0x100, mask: (EFF_FLAG | 0x7ff) >>> 0 }], pass: [0x100] },
    "a range by mask": { filters: [{ id: 0x100, mask: 0x7fe }], pass: [0x100, 0x101, (EFF_FLAG | 0x100) >>> 0] },
    "all but one, inverted": {
      filters: [{ id: 0x200, mask: 0x7ff, inverted: true }],
      pass: [0x100, 0x101, (EFF_FLAG | 0x100) >>> 0],
    },
    "any of several": {
      filters: [
        { id: 0x101, mask: 0x7ff },
        { id: 0x200, mask: 0x7ff },
      ],
      pass: [0x101, 0x200],
    },
    nothing: { filters: [{ id: 0x555, mask: 0x7ff }], pass: [] },
    "everything, without filters": { filters: [], pass: ids },
  };
  for (const [name, { filters, pass }] of Object.entries(cases)) {
    it(`lets pass ${name}`, async () => {
      const { driver, other, seen } = await pair();
      // The mark passes too and comes last: when it is here, what was to come before it has come.
      driver.setFilters(filters.length > 0 ? [...filters, { id: MARK, mask: 0x7ff }] : []);
      await sendAll(other, batchOf([...ids, MARK]));
      await seen.take(pass.length + 1);
      assert.deepEqual(
        seen.seen.map((frame) => frame.idWord),
        [...pass, MARK],
      );
    });
  }

  it("hands on nothing that does not pass, though it waited since before the filter", async () => {
    const { driver, other, seen } = await pair();
    assert.deepEqual(other.send(batchOf([0x100, 0x200, 0x100])), { accepted: 3 });
    driver.setFilters([{ id: 0x200, mask: 0x7ff }]);
    await sendAll(other, batchOf([0x100, 0x200]));
    await seen.take(2);
    assert.deepEqual(
      seen.seen.map((frame) => frame.idWord),
      [0x200, 0x200],
    );
  });

  itWhere(bus.injectError !== undefined)("lets error frames pass every filter", async () => {
    const { driver, seen } = await pair();
    driver.setFilters([{ id: 0x555, mask: 0x7ff }]);
    await bus.injectError?.(ERR_FLAG | 0x4, bytes("0000000000000000"));
    assert.equal((await seen.take(1))[0]!.idWord, ERR_FLAG | 0x4);
  });
}

function refusalTests(bus: SuiteBus, pair: OpenPair): void {
  it("sends from the row it is told", async () => {
    const { driver, atOther } = await pair();
    assert.deepEqual(driver.send(FrameBatch.of(...numbered(5)), 3), { accepted: 2 });
    assert.deepEqual(numbersOf(await atOther.take(2)), [3, 4]);
    assert.deepEqual(driver.send(FrameBatch.of(...numbered(5)), 5), { accepted: 0 });
  });

  it("refuses an error frame, after what came before it", async () => {
    const { driver, atOther } = await pair();
    const [first, second] = numbered(2) as [FrameParts, FrameParts];
    const batch = FrameBatch.of(first, { idWord: ERR_FLAG | 4, data: new Uint8Array(8) }, second);
    const outcome = driver.send(batch);
    assert.equal(outcome.accepted, 1);
    assert.equal(outcome.refusal?.kind, "unsupported");
    assert.deepEqual(driver.send(batch, 2), { accepted: 1 });
    assert.deepEqual(numbersOf(await atOther.take(2)), [0, 1]);
  });

  it("refuses an id that does not fit its format and a classic frame of 9 bytes", async () => {
    const { driver, other, seen, atOther } = await pair();
    for (const frame of [{ idWord: 0x800 }, { idWord: 1, data: new Uint8Array(9) }]) {
      const outcome = driver.send(FrameBatch.of(frame));
      assert.equal(outcome.accepted, 0);
      assert.notEqual(outcome.refusal, undefined);
    }
    assert.deepEqual(driver.send(FrameBatch.of({ idWord: MARK })), { accepted: 1 });
    assert.equal((await atOther.take(1))[0]!.idWord, MARK);
    await sendAll(other, FrameBatch.of({ idWord: MARK + 1 }));
    await seen.take(1);
  });

  itWhere(bus.createMissing !== undefined)("names the bus that does not exist", async () => {
    const opening = bus.createMissing?.().open(new Recorder());
    await assert.rejects(opening!, (error) => isCanfleetError(error, "CAN_NO_SUCH_INTERFACE"));
  });
}

function lifeTests(bus: SuiteBus, open: (driver: CanInterface) => Promise<Recorder>, pair: OpenPair): void {
  it("hands on nothing after it was closed, and may be closed twice", async () => {
    const { driver, other, seen } = await pair();
    const witness = await open(bus.create());
    assert.deepEqual(other.send(FrameBatch.of(...numbered(3))), { accepted: 3 });
    await Promise.all([driver.close(), driver.close()]);
    const before = seen.seen.length;
    await sendAll(other, FrameBatch.of(...numbered(3)));
    await witness.take(6);
    await driver.close();
    assert.equal(seen.seen.length, before);
    const outcome = driver.send(FrameBatch.of(...numbered(1)));
    assert.equal(outcome.accepted, 0);
    assert.equal(outcome.refusal?.kind, "down");
  });

  it("can be closed by the sink in the middle of what it hands on", async () => {
    const { driver, other, seen } = await pair();
    const witness = await open(bus.create());
    let closing: Promise<void> | undefined;
    seen.onFrames = () => {
      closing ??= driver.close();
    };
    for (let sent = 100; sent <= 1000; sent += 100) {
      await sendAll(other, FrameBatch.of(...numbered(100)));
      await witness.take(sent);
    }
    await closing;
    const atClose = seen.seen.length;
    assert.ok(atClose >= 1 && closing !== undefined);
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await witness.take(1001);
    assert.equal(seen.seen.length, atClose);
  });

  it("says nothing from within open and send", async () => {
    const driver = bus.create();
    let inCall = true;
    let early = 0;
    const recorder = new Recorder();
    recorder.onFrames = () => {
      if (inCall) early++;
    };
    const opening = driver.open(recorder);
    inCall = false;
    await opening;
    const other = bus.other();
    await open(other);
    inCall = true;
    driver.send(FrameBatch.of(...numbered(3)));
    inCall = false;
    await sendAll(other, FrameBatch.of({ idWord: MARK }));
    await recorder.take(1);
    await driver.close();
    assert.equal(early, 0);
  });
}
