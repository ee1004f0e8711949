// Runs in a guest with vcan, which control.test.ts boots.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { FLAG_ECHO, FLAG_OWN } from "@canfleet/sdk";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Controller } from "./support/controller.ts";
import { Fleet } from "./support/fleet.ts";
import { Program } from "./support/program.ts";
import { Candump, must } from "./support/strangers.ts";
import { until } from "./support/until.ts";

const PERIOD_MS = 50;

describe("the kernel's broadcast manager", () => {
  let hub: Hub;
  let fleet: Fleet;
  let edge: Program;
  let controller: Controller;
  let candump: Candump;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    candump = await Candump.start("vcan0");
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

  it("keeps the beat, and its frames come back as this host's own but not as echoes", async () => {
    const texts = ["101#01", "101##1AABB", "1FF#R4"];
    for (const text of texts) {
      const settings = await controller.ok(periodic(text));
      assert.equal(settings.tasks.at(-1)!.keptBy, "kernel");
    }
    for (const text of texts) await atLeast(text, 40);
    for (const text of texts) {
      const own = controller.times.filter((one) => one.text === text);
      assert.ok(own.every(({ flags }) => (flags & (FLAG_OWN | FLAG_ECHO)) === FLAG_OWN));
      // However late single beats are on a busy machine, the beat itself does not slip: most are where they belong.
      const slips = own.map(({ timestampUs }) => beatError(timestampUs - own[0]!.timestampUs)).sort((a, b) => a - b);
      assert.ok(slips[Math.floor(slips.length / 2)]! < PERIOD_MS / 4, `${text}: ${slips.join(" ")}`);
    }
    await until("counts", async () => (await controller.ok({ op: "get" })).tasks.every(({ sent }) => sent >= 40));
  });

  it("sends other data without losing the beat, and refuses what may not be sent", async () => {
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
    // A burst would have several frames in one period.
    const times = controller.times.filter((one) => one.text === "103#01").slice(before);
    const steps = times.slice(1).map(({ timestampUs }, i) => (timestampUs - times[i]!.timestampUs) / 1000);
    const short = steps.filter((ms) => ms < PERIOD_MS / 5);
    assert.ok(short.length <= 1, `steps of ${steps.join(" ")} ms`);
  });

  it("ends with the edge, however that ends", async () => {
    await controller.ok(periodic("104#01", "t"));
    await atLeast("104#01", 3);
    await edge.stop("SIGKILL");
    const before = candump.frames.length;
    await new Promise((resolve) => setTimeout(resolve, 10 * PERIOD_MS));
    // One may have been on its way to candump.
    assert.ok(candump.frames.length <= before + 1);
    await startEdge();
    assert.deepEqual((await controller.ok({ op: "get" })).tasks, []);
  });
});

/** Distance from the nearest beat, ms. */
function beatError(sinceFirstUs: number): number {
  const ms = sinceFirstUs / 1000;
  return Math.abs(ms - Math.round(ms / PERIOD_MS) * PERIOD_MS);
}
