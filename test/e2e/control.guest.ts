// Runs in a guest with vcan, which control.test.ts boots.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { FLAG_ECHO, FLAG_OWN } from "@canfleet/sdk";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Controller } from "./support/controller.ts";
import { Fleet } from "./support/fleet.ts";
import { Program } from "./support/program.ts";
import { ofCanUtils } from "./support/frame-text.ts";
import { cansend, Candump, must } from "./support/strangers.ts";
import { until } from "./support/until.ts";

const PERIOD_MS = 50;

describe("the kernel's broadcast manager", () => {
  let hub: Hub;
  let fleet: Fleet;
  let edge: Program;
  let controller: Controller;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    await startEdge();
    controller = await Controller.connect(hub.url, "pi", "vcan0");
  });
  afterEach(() => controller.ok({ op: "release", by: "me" }));
  after(async () => {
    await controller.close();
    await fleet.close();
    await Program.killAll();
  });

  async function startEdge(): Promise<void> {
    fleet.forget();
    edge = canfleet("edge", "vcan0", "--hub", hub.url, "--name", "pi", "--send", "100:700");
    await fleet.ready("pi", "vcan0");
  }

  const periodic = (frame: string, task = frame): object => ({
    ...{ op: "periodic", task, frame, periodMs: PERIOD_MS, by: "me", leaseMs: 600_000 },
  });
  const count = (text: string): number => controller.times.filter((one) => one.text === text).length;
  const atLeast = (text: string, frames: number): Promise<unknown> =>
    until(`${frames} of ${text}`, () => count(text) >= frames);

  it("keeps periodic sends, whose frames come back as this host's own but not as echoes", async () => {
    const texts = ["101#01", "101##1AABB", "1FF#R4"];
    for (const text of texts) {
      const settings = await controller.ok(periodic(text));
      assert.equal(settings.tasks.at(-1)!.keptBy, "kernel");
    }
    for (const text of texts) await atLeast(text, 40);
    for (const text of texts) {
      const own = controller.times.filter((one) => one.text === text);
      assert.ok(own.every(({ flags }) => (flags & (FLAG_OWN | FLAG_ECHO)) === FLAG_OWN));
    }
    await until("counts", async () => (await controller.ok({ op: "get" })).tasks.every(({ sent }) => sent >= 40));
  });

  it("sends other data in their place, and refuses what may not be sent", async () => {
    await controller.ok(periodic("102#01", "t"));
    await atLeast("102#01", 3);
    await controller.ok(periodic("102#02", "t"));
    await atLeast("102#02", 3);
    assert.equal(await controller.code(periodic("202#02", "t")), "denied");
    await controller.ok({ op: "stop", task: "t" });
  });

  it("pauses while the interface is down and makes up for nothing afterwards", async () => {
    await controller.ok(periodic("103#01", "t"));
    await atLeast("103#01", 3);
    await must("ip", "link", "set", "vcan0", "down");
    await fleet.until("pi/vcan0/status", ({ state }) => state === "down");
    await until("the pause", async () => (await controller.ok({ op: "get" })).tasks[0]!.paused);
    const before = count("103#01");
    await new Promise((resolve) => setTimeout(resolve, 20 * PERIOD_MS));
    await must("ip", "link", "set", "vcan0", "up");
    await atLeast("103#01", before + 5);
    // A burst would have more frames than there were periods.
    const timesUs = controller.times.filter((one) => one.text === "103#01").map(({ timestampUs }) => timestampUs);
    const spanMs = (timesUs.at(-1)! - timesUs[before]!) / 1000;
    assert.ok(timesUs.length - before <= spanMs / PERIOD_MS + 2, `${timesUs.length - before} in ${spanMs} ms`);
  });

  it("ends with the edge, however that ends", async () => {
    await controller.ok(periodic("104#01", "t"));
    await atLeast("104#01", 3);
    await edge.stop("SIGKILL");
    const candump = await Candump.start("vcan0");
    const marks = ["7F0#00", "7F1#00"];
    for (const mark of marks) {
      await cansend("vcan0", mark);
      await candump.seen(mark);
      await new Promise((resolve) => setTimeout(resolve, 10 * PERIOD_MS));
    }
    const { frames } = candump;
    const [first, second] = marks.map((mark) => frames.indexOf(ofCanUtils(mark))) as [number, number];
    assert.equal(second, first + 1, frames.slice(first).join(" "));
    await startEdge();
    assert.deepEqual((await controller.ok({ op: "get" })).tasks, []);
  });
});
