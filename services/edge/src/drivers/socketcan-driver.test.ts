// What needs no CAN in the kernel; the rest is in socketcan-driver.guest.ts.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { FrameBatch, isCanfleetError } from "@canfleet/sdk";
import { readInterface } from "./interface-files.ts";
import { Recorder } from "./recorder.suite.ts";
import { createSocketcanDriver } from "./socketcan-driver.ts";

describe("npm socketcan driver", () => {
  it("names the command that installs the library where it is missing, else the bus that is", async () => {
    const opening = createSocketcanDriver("no-such-can").open(new Recorder());
    await assert.rejects(opening, (error) => {
      if (isInstalled()) return isCanfleetError(error, "CAN_NO_SUCH_INTERFACE");
      return isCanfleetError(error, "CAN_NO_DRIVER") && error.message.includes("npm install --no-save socketcan@4.3.1");
    });
  });

  it("sends nothing before it is open, and may be closed all the same", async () => {
    const driver = createSocketcanDriver("can0");
    assert.equal(driver.send(FrameBatch.of({ idWord: 1 })).refusal?.kind, "down");
    await driver.close();
  });
});

describe("interface files", { skip: process.platform !== "linux" && "sysfs is Linux's" }, () => {
  it("tell what an interface is", () => {
    const loopback = readInterface("lo");
    assert.equal(loopback?.isCan, false);
    assert.ok(loopback.index > 0 && loopback.mtu > 0);
  });

  it("know no interface that is missing, nor a name that is a path", () => {
    for (const name of ["no-such-can", "../net/lo", "", "."]) assert.equal(readInterface(name), undefined);
  });
});

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve("socketcan");
    return true;
  } catch {
    return false;
  }
}
