// Runs in a guest with vcan and vxcan, which test/drivers/native-driver.test.ts boots.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { FrameBatch, isCanfleetError } from "@canfleet/sdk";
import { runCanInterfaceSuite } from "./can-interface.suite.ts";
import { runKernelSuite } from "./kernel.suite.ts";
import { createNativeDriver } from "./native-driver.ts";
import { numbered, Recorder, sendAll, until } from "./recorder.suite.ts";

const run = promisify(execFile);

const injectOn = (channel: string) => async (idWord: number, data: Uint8Array) => {
  await run("cansend", [channel, `${idWord.toString(16).padStart(8, "0")}#${Buffer.from(data).toString("hex")}`]);
};

runCanInterfaceSuite({
  name: "native driver, the other program on the same interface",
  create: () => createNativeDriver("vcan0"),
  other: () => createNativeDriver("vcan0"),
  createMissing: () => createNativeDriver("can99"),
  injectError: injectOn("vcan0"),
});

runCanInterfaceSuite({
  name: "native driver, the other at the far end of a cable",
  create: () => createNativeDriver("vxcan0"),
  other: () => createNativeDriver("vxcan0p"),
  createMissing: () => createNativeDriver("vxcan99"),
  injectError: injectOn("vxcan0p"),
});

runCanInterfaceSuite({
  name: "native driver that never gathers",
  create: () => createNativeDriver("vcan0", { gatherMs: 0 }),
  other: () => createNativeDriver("vcan0", { gatherMs: 10 }),
  createMissing: () => createNativeDriver("a-name-longer-than-any-interface-has"),
  injectError: injectOn("vcan0"),
});

runKernelSuite({
  name: "native driver",
  create: (channel) => createNativeDriver(channel),
  createSmall: (channel) => createNativeDriver(channel, { receiveBufferBytes: 1 }),
  other: (channel) => createNativeDriver(channel),
});

describe("native driver", () => {
  it("marks nothing that comes over the wire", async () => {
    const driver = createNativeDriver("vxcan0");
    const far = createNativeDriver("vxcan0p");
    const seen = new Recorder();
    await driver.open(seen);
    await far.open(new Recorder());
    await sendAll(far, FrameBatch.of({ idWord: 0x100 }));
    const [frame] = await seen.take(1);
    assert.equal(frame!.flags, 0);
    await Promise.all([driver.close(), far.close()]);
  });

  it("says which interface is none of CAN", async () => {
    const opening = createNativeDriver("lo").open(new Recorder());
    await assert.rejects(
      opening,
      (error) => isCanfleetError(error, "CAN_OPEN_FAILED") && error.message.includes("not a CAN"),
    );
  });

  it("says so when the kernel gives it a shorter receive queue than it asked for", async () => {
    const script = `
      import { createNativeDriver } from ${JSON.stringify(new URL("./native-driver.js", import.meta.url).href)};
      const driver = createNativeDriver("vcan0");
      const warning = (text) => { console.log(text); void driver.close(); };
      await driver.open({ frames() {}, lost() {}, link() {}, warning, end() {} });`;
    const node = [process.execPath, "--input-type=module", "-e", script];
    const { stdout } = await run("setpriv", ["--bounding-set=-net_admin", ...node]);
    assert.match(stdout, /^vcan0: .* holds only about 555 frames; .*CAP_NET_ADMIN/);
  });

  it("takes more filters than the kernel does", async () => {
    const driver = createNativeDriver("vcan0");
    const other = createNativeDriver("vcan0");
    const seen = new Recorder();
    await driver.open(seen);
    await other.open(new Recorder());
    driver.setFilters(Array.from({ length: 600 }, (_, i) => ({ id: i, mask: 0x7ff })));
    await sendAll(other, FrameBatch.of({ idWord: 700 }, { idWord: 599 }, { idWord: 600 }, { idWord: 0 }));
    await seen.take(2);
    await sendAll(other, FrameBatch.of({ idWord: 700 }, { idWord: 5 }));
    await seen.take(3);
    assert.deepEqual(
      seen.seen.map((frame) => frame.idWord),
      [599, 0, 5],
    );
    await Promise.all([driver.close(), other.close()]);
  });

  it("reads on after its sink threw, as with any listener", async () => {
    const { worker, said } = workerWith(`
      process.once("uncaughtException", (error) => parentPort.postMessage(error.message));
      let thrown = false;
      const frames = () => {
        if (thrown) return parentPort.postMessage("frames");
        thrown = true;
        throw new Error("from the sink");
      };`);
    const other = createNativeDriver("vcan0");
    await other.open(new Recorder());
    await until(() => said.includes("open"), "the worker's driver");
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await until(() => said.includes("from the sink"), "the exception");
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await until(() => said.includes("frames"), "more frames");
    await worker.terminate();
    await other.close();
  });

  it("gathers while the bus is busy, hands on at once when it is not, and never gathers with gatherMs 0", async () => {
    // A waiting frame is read in the next turn of the event loop, or stays while frames are gathered.
    const AT_ONCE = 2;
    assert.ok((await turnsUntilNext(10, 5)) <= AT_ONCE);
    for (let round = 0; round < 5; round++) assert.ok((await turnsUntilNext(0, 200)) <= AT_ONCE);
    // Only a machine that stands still for 10 ms makes one of these a short one.
    let gathered = false;
    for (let round = 0; round < 20 && !gathered; round++) gathered = (await turnsUntilNext(10, 200)) > AT_ONCE;
    assert.ok(gathered);
  });

  it("stays alive when a sink gives the columns' memory away", async () => {
    const driver = createNativeDriver("vcan0");
    const other = createNativeDriver("vcan0");
    const seen = new Recorder();
    await driver.open(seen);
    await other.open(new Recorder());
    seen.onFrames = (batch) => {
      seen.onFrames = undefined;
      structuredClone(batch.data, { transfer: [batch.data.buffer as ArrayBuffer] });
    };
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await seen.take(1);
    await sendAll(other, FrameBatch.of(...numbered(1)));
    await seen.linkIs("gone");
    await Promise.all([driver.close(), other.close()]);
  });

  it("goes with a worker that is ended while frames come in", async () => {
    const other = createNativeDriver("vcan0");
    await other.open(new Recorder());
    for (let round = 0; round < 3; round++) {
      const { worker, said } = workerWith('const frames = () => parentPort.postMessage("frames");');
      await until(() => said.includes("open"), "the worker's driver");
      await sendAll(other, FrameBatch.of(...numbered(200)));
      await until(() => said.includes("frames"), "frames in the worker");
      const sending = sendAll(other, FrameBatch.of(...numbered(200)));
      assert.equal(await worker.terminate(), 1);
      await sending;
    }
    await other.close();
  });
});

/** A thread with a driver of its own on vcan0; `code` defines what its sink does with `frames`. */
function workerWith(code: string): { worker: Worker; said: string[] } {
  const source = JSON.stringify(new URL("./native-driver.js", import.meta.url).href);
  const whole = `
    const { parentPort } = require("node:worker_threads");
    ${code}
    import(${source}).then(async ({ createNativeDriver }) => {
      await createNativeDriver("vcan0").open({ frames, lost() {}, link() {}, warning() {}, end() {} });
      parentPort.postMessage("open");
    });`;
  const worker = new Worker(whole, { eval: true });
  const said: string[] = [];
  worker.on("message", (word: string) => said.push(word));
  return { worker, said };
}

/** Turns of the event loop that a frame waits which is sent when `burst` others have been handed on. */
async function turnsUntilNext(gatherMs: number, burst: number): Promise<number> {
  const driver = createNativeDriver("vcan0", { gatherMs });
  const other = createNativeDriver("vcan0");
  const seen = new Recorder();
  await driver.open(seen);
  await other.open(new Recorder());
  let turns = 0;
  let sentAt = -1;
  let turnsWaited = -1;
  const count = (): void => {
    turns++;
    if (turnsWaited < 0) setImmediate(count);
  };
  setImmediate(count);
  seen.onFrames = () => {
    if (seen.seen.length === burst) {
      sentAt = turns;
      assert.deepEqual(other.send(FrameBatch.of({ idWord: 0x7ff })), { accepted: 1 });
    }
    if (seen.seen.length === burst + 1) turnsWaited = turns - sentAt;
  };
  assert.deepEqual(other.send(FrameBatch.of(...numbered(burst))), { accepted: burst });
  await seen.take(burst + 1);
  await Promise.all([driver.close(), other.close()]);
  return turnsWaited;
}
