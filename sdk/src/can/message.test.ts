import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dlcOfLength, isFdLength, lengthOfDlc } from "./dlc.ts";
import { filterBatch, idFilter, parseFilters, passesFilters } from "./filter.ts";
import { FLAG_BRS, FLAG_ECHO, FLAG_FD, FLAG_OWN, FrameBatch } from "./frame-batch.ts";
import {
  arbitrationIdOf,
  EFF_FLAG,
  ERR_FLAG,
  formatId,
  isRemoteWord,
  isValidIdWord,
  makeIdWord,
  RTR_FLAG,
} from "./id.ts";
import { Message } from "./message.ts";

describe("id words", () => {
  it("keep the format apart from the number", () => {
    assert.equal(makeIdWord(0x12, true), 0x80000012);
    assert.equal(arbitrationIdOf(0x80000012), 0x12);
    assert.equal(formatId(0x80000012), "00000012");
    assert.equal(formatId(0x12), "012");
    assert.equal(makeIdWord(0x7ff, false, "remote"), 0x400007ff);
  });

  it("refuse numbers that do not fit", () => {
    assert.throws(() => makeIdWord(0x800, false), RangeError);
    assert.throws(() => makeIdWord(0x20000000, true), RangeError);
    assert.throws(() => makeIdWord(-1, false), RangeError);
  });

  it("of error frames are not remote, whatever their class bits", () => {
    assert.ok(!isRemoteWord((ERR_FLAG | RTR_FLAG) >>> 0));
    assert.ok(isValidIdWord(ERR_FLAG | 0x1fffffff));
    assert.ok(!isValidIdWord(0x800));
  });
});

describe("data length codes", () => {
  it("follow ISO 11898-1 for classic and FD", () => {
    const fd = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64];
    assert.deepEqual(
      fd.map((_, dlc) => lengthOfDlc(dlc, true)),
      fd,
    );
    assert.deepEqual(
      [8, 9, 15].map((dlc) => lengthOfDlc(dlc, false)),
      [8, 8, 8],
    );
    assert.deepEqual([9, 12, 13, 64].map(dlcOfLength), [9, 9, 10, 15]);
    assert.deepEqual([8, 9, 64, 65].map(isFdLength), [true, false, true, false]);
  });
});

describe("Message", () => {
  it("has python-can's defaults in camel case", () => {
    const message = new Message({ arbitrationId: 0x100, data: [0, 1, 2] });
    assert.deepEqual(
      [message.isExtendedId, message.isRemoteFrame, message.isFd, message.isRx, message.dlc],
      [false, false, false, true, 3],
    );
    assert.ok(new Message({ arbitrationId: 0x800 }).isExtendedId);
    assert.ok(new Message({ data: new Uint8Array(12) }).isFd);
    assert.equal(new Message({ timestampUs: 1_500_000 }).timestamp, 1.5);
  });

  it("copies its data", () => {
    const data = Uint8Array.of(1);
    const message = new Message({ data });
    data[0] = 2;
    assert.equal(message.data[0], 1);
  });

  it("refuses parts that do not go together", () => {
    const wrong = [
      { data: new Uint8Array(65) },
      { data: new Uint8Array(9) },
      { data: [256] },
      { data: [1], isRemoteFrame: true },
      { isRemoteFrame: true, isFd: true },
      { dlc: 16 },
      { dlc: 9, data: [1] },
      { arbitrationId: 0x800, isExtendedId: false },
      { isErrorFrame: true, isRemoteFrame: true },
    ];
    for (const init of wrong) assert.throws(() => new Message(init), RangeError, JSON.stringify(init));
  });

  it("goes into columns and comes back the same, unknown staying unknown", () => {
    const init = {
      arbitrationId: 0x12,
      isExtendedId: true,
      isFd: true,
      bitrateSwitch: true,
      data: new Uint8Array(16).fill(7),
    };
    const batch = FrameBatch.of(new Message({ ...init, isRx: false, timestampUs: 5 }).toParts());
    assert.equal(batch.flags[0], FLAG_FD | FLAG_BRS | FLAG_OWN);
    assert.deepEqual(Message.fromBatch(batch, 0), new Message({ ...init, isRx: false, timestampUs: 5 }));
    batch.unknownFlags = FLAG_OWN | FLAG_ECHO;
    assert.equal(Message.fromBatch(batch, 0).isRx, undefined);
    const remote = FrameBatch.of(new Message({ isRemoteFrame: true, dlc: 4 }).toParts());
    assert.deepEqual([remote.length[0], remote.dataLength, Message.fromBatch(remote, 0).dlc], [4, 0, 4]);
  });
});

describe("FrameBatch", () => {
  const source = FrameBatch.of(
    { idWord: 1, data: Uint8Array.of(1, 2), timestampUs: 1 },
    { idWord: RTR_FLAG | 2, length: 8, timestampUs: 2 },
    { idWord: 3, data: Uint8Array.of(3), timestampUs: 3 },
  );

  it("appends as many as fit by frames and by bytes", () => {
    const two = new FrameBatch(2);
    assert.equal(two.append(source), 2);
    assert.equal(two.append(source, 2), 0);
    const bytes = new FrameBatch(10, 2);
    assert.equal(bytes.append(source), 2);
    assert.equal(bytes.dataLength, 2);
  });

  it("appends behind what is there, payloads included", () => {
    const batch = FrameBatch.of({ idWord: 9, data: Uint8Array.of(9) }, { idWord: 8, data: new Uint8Array(60) });
    const target = new FrameBatch(8);
    target.append(batch, 0, 1);
    target.append(source, 1);
    assert.deepEqual([...target.idWord.subarray(0, 3)], [9, (RTR_FLAG | 2) >>> 0, 3]);
    assert.deepEqual([...target.payload(2)], [3]);
  });

  it("copies a range with its number, and a selection without one", () => {
    source.seq = 10;
    assert.equal(source.clone(1).seq, 11);
    const odd = source.filter((batch, i) => batch.idWord[i] !== 3);
    assert.deepEqual([odd.count, odd.seq, odd.dataLength], [2, -1, 2]);
  });

  it("refuses a frame that does not fit", () => {
    assert.throws(() => FrameBatch.of({ idWord: 1 }).push({ idWord: 2 }), RangeError);
  });
});

describe("filters", () => {
  it("read candump's syntax, 3 digits for 11 bits and 8 for 29", () => {
    assert.deepEqual(parseFilters("123:7FF, 400~7F0"), [
      idFilter(0x123, 0x7ff, false),
      { ...idFilter(0x400, 0x7f0, false), inverted: true },
    ]);
    assert.deepEqual(parseFilters("00000123"), [{ id: 0x80000123, mask: (EFF_FLAG | 0x1fffffff) >>> 0 }]);
    for (const text of ["xyz", "123:", "FFF", "123456789"]) assert.throws(() => parseFilters(text), RangeError, text);
  });

  it("pass as the kernel's do", () => {
    const [match, not] = parseFilters("120:7F0,400~7F0");
    assert.ok(passesFilters([match!], 0x12f));
    assert.ok(!passesFilters([match!], 0x8000012f));
    assert.ok(!passesFilters([not!], 0x40f));
    assert.ok(passesFilters([not!], 0x123));
    assert.ok(passesFilters([match!], ERR_FLAG | 4));
  });

  it("leave a batch alone when all pass", () => {
    const batch = FrameBatch.of({ idWord: 1 }, { idWord: 2 });
    assert.equal(filterBatch(batch, []), batch);
    assert.equal(filterBatch(batch, parseFilters("000:000")), batch);
    assert.deepEqual([...filterBatch(batch, parseFilters("002")).idWord], [2]);
  });
});
