// What needs no CAN in the kernel; the rest is in native-driver.guest.ts.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameBatch, isCanfleetError } from "@canfleet/sdk";
import { loadNativeAddon, type NativeAddon, type NativeColumns, type NativeHandle } from "./native-addon.ts";
import { createNativeDriver } from "./native-driver.ts";
import { Recorder } from "./recorder.suite.ts";

describe("native driver", () => {
  it("refuses options out of their range", () => {
    for (const gatherMs of [-1, 11, 0.5, NaN]) {
      assert.throws(() => createNativeDriver("can0", { gatherMs }), RangeError);
    }
    for (const receiveBufferBytes of [0, 2 ** 31, 1.5]) {
      assert.throws(() => createNativeDriver("can0", { receiveBufferBytes }), RangeError);
    }
  });

  it("sends nothing before it is open, and may be closed all the same", async () => {
    const driver = createNativeDriver("can0");
    const outcome = driver.send(FrameBatch.of({ idWord: 1 }));
    assert.deepEqual(outcome, { accepted: 0, refusal: { kind: "down", errno: "ENODEV" } });
    driver.setFilters([{ id: 1, mask: 1 }]);
    await driver.close();
  });

  it("says why a bus cannot be opened, and can be asked again", async () => {
    const driver = createNativeDriver("no-such-can");
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(
        driver.open(new Recorder()),
        (error) => isCanfleetError(error, "CAN_NO_SUCH_INTERFACE") || isCanfleetError(error, "CAN_NO_DRIVER"),
      );
    }
  });
});

describe("the addon", { skip: whyNoAddon() }, () => {
  const batch = new FrameBatch(256);
  const columns: NativeColumns = [
    batch.timestampUs,
    batch.timestampNs,
    batch.idWord,
    batch.length,
    batch.dlc,
    batch.flags,
    batch.dataOffset,
    batch.data,
  ];
  const nothing = (): void => undefined;
  const open = (addon: NativeAddon, ...args: unknown[]): unknown =>
    (addon.open as (...args: unknown[]) => unknown)(...args);

  it("takes wrong arguments as a TypeError, never as memory", () => {
    const addon = loadNativeAddon();
    const short = columns.map((column) => column.subarray(1));
    const swapped = columns.toReversed();
    for (const wrong of [[], undefined, short, swapped, columns.slice(0, 7), columns.map(() => ({}))]) {
      assert.throws(() => open(addon, "can0", 1, 1, wrong, nothing, nothing), TypeError);
    }
    assert.throws(() => open(addon), TypeError);
    assert.throws(() => open(addon, 7, 1, 1, columns, nothing, nothing), TypeError);
    assert.throws(() => open(addon, "can0\0x", 1, 1, columns, nothing, nothing), TypeError);
    assert.throws(() => open(addon, "can0", -1, 1, columns, nothing, nothing), TypeError);
    assert.throws(() => open(addon, "can0", 1, 1, columns, nothing, "function"), TypeError);
  });

  it("takes for a handle only what it made", () => {
    const addon = loadNativeAddon();
    const { idWord, length, dlc, flags, dataOffset, data } = batch;
    for (const wrong of [undefined, null, 0, {}, "handle", nothing, addon]) {
      const handle = wrong as NativeHandle;
      assert.throws(() => addon.close(handle), TypeError);
      assert.throws(() => addon.describe(handle), TypeError);
      assert.throws(() => addon.refusal(handle), TypeError);
      assert.throws(() => addon.setFilters(handle, new Uint32Array(3)), TypeError);
      assert.throws(() => addon.send(handle, idWord, length, dlc, flags, dataOffset, data, 0, 1), TypeError);
    }
  });

  it("names the error of the system", () => {
    const addon = loadNativeAddon();
    for (const name of ["no-such-can", "a-name-longer-than-any-interface-has"]) {
      assert.throws(
        () => addon.probe(name),
        (error: NodeJS.ErrnoException) => ["ENODEV", "EAFNOSUPPORT", "EPROTONOSUPPORT"].includes(error.code ?? ""),
      );
    }
  });
});

function whyNoAddon(): string | false {
  try {
    loadNativeAddon();
    return false;
  } catch (error) {
    return isCanfleetError(error) ? error.message : String(error);
  }
}
