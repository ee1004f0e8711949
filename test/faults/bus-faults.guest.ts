// Runs in a guest with vcan, which test/faults/bus-faults.test.ts boots.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, describe, it } from "node:test";
import { isCanfleetError, Message, MqttBus } from "@canfleet/sdk";
import { canfleet, startHub, type Hub } from "../e2e/support/canfleet.ts";
import { Fleet } from "../e2e/support/fleet.ts";
import { Program } from "../e2e/support/program.ts";
import { must } from "../e2e/support/strangers.ts";
import { until } from "../e2e/support/until.ts";

const ROUNDS = process.env.SOAK === "1" ? 10 : 4;
/** Frames between two faults, and their pace, ms. */
const FRAMES_PER_ROUND = 300;
const PACE_MS = 1;
/** More than the default receive queue holds (10,900 frames). */
const OVERFLOW_FRAMES = 30_000;
/** The id of frames that are asked to be sent while the bus is down. */
const LATE_ID = 0x7f0;

/** Frames that were put on vcan0 since it was made, by the kernel's own count. */
function produced(): number {
  return Number(readFileSync("/sys/class/net/vcan0/statistics/tx_packets", "utf8"));
}

/** Puts frames on vcan0 until it is stopped, or the interface is. */
function generate(): Program {
  return Program.start("cangen", ["vcan0", "-g", `${PACE_MS}`, "-I", "123", "-L", "8"]);
}

describe("an edge on a bus with faults", () => {
  let hub: Hub;
  let fleet: Fleet;
  let edge: Program;
  let bus: MqttBus;
  const got = { delivered: 0, lost: 0, unknown: 0, late: 0, disordered: 0 };
  let next = 0;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    bus = await MqttBus.connect(hub.url, { edge: "pi", bus: "vcan0", order: "complete", connectTimeoutMs: 60_000 });
    bus.on("batch", (batch) => {
      if (batch.seq !== next) got.disordered++;
      next = batch.seq + batch.count;
      got.delivered += batch.count;
      for (let i = 0; i < batch.count; i++) if (batch.idWord[i] === LATE_ID) got.late++;
    });
    bus.on("loss", ({ lost }) => {
      for (const frames of Object.values(lost)) {
        if (frames === null) got.unknown++;
        else got.lost += frames;
      }
    });
    edge = canfleet("edge", "vcan0", "--hub", hub.url, "--name", "pi", "--send", "all");
    await fleet.ready("pi", "vcan0");
  });
  beforeEach(() => Object.assign(got, { delivered: 0, lost: 0, unknown: 0, late: 0, disordered: 0 }));
  after(async () => {
    await bus.shutdown();
    await fleet.close();
    await Program.killAll();
  });

  /** Every frame that the kernel saw is delivered or told; nothing else is. `unknown`: losses without a number. */
  async function balance(id: string, frames: number, unknown = 0): Promise<void> {
    const show = (): string => JSON.stringify({ frames, ...got });
    await until("every frame delivered or told", () => got.delivered + got.lost >= frames, undefined, show);
    console.log(
      `${id} produced ${frames} delivered ${got.delivered} lost-counted ${got.lost} ` +
        `unexplained ${Math.max(0, frames - got.delivered - got.lost)} ` +
        `twice ${Math.max(0, got.delivered + got.lost - frames)} disordered ${got.disordered}`,
    );
    assert.equal(got.delivered + got.lost, frames, show());
    assert.deepEqual([got.unknown, got.late, got.disordered], [unknown, 0, 0], show());
    assert.equal(edge.ended, undefined);
  }

  async function someFrames(): Promise<void> {
    const goal = got.delivered + FRAMES_PER_ROUND;
    await until("frames", () => got.delivered >= goal);
  }

  async function sendsAreRefused(): Promise<void> {
    const answers = Array.from({ length: 5 }, () =>
      bus.send(new Message({ arbitrationId: LATE_ID, isExtendedId: false }), { ttlMs: 20_000, confirm: true }),
    );
    for (const answer of await Promise.allSettled(answers)) {
      assert.ok(answer.status === "rejected" && isCanfleetError(answer.reason));
      assert.equal(answer.reason.code, "SEND_BUS_OFF");
    }
  }

  const stateIs = (state: string): Promise<unknown> =>
    fleet.until("pi/vcan0/status", (status) => status.state === state);

  it(`R22 its interface goes down ${ROUNDS} times at 1,000 frames/s`, async () => {
    const atBegin = produced();
    for (let round = 0; round < ROUNDS; round++) {
      const generator = generate();
      await someFrames();
      await must("ip", "link", "set", "vcan0", "down");
      await generator.exit();
      await stateIs("down");
      await sendsAreRefused();
      await must("ip", "link", "set", "vcan0", "up");
      await stateIs("up");
    }
    await balance("R22 down and up,", produced() - atBegin);
  });

  it("R22 its interface is deleted and made again", async () => {
    const rounds = 2;
    let frames = -produced();
    for (let round = 0; round < rounds; round++) {
      const generator = generate();
      await someFrames();
      await generator.stop("SIGKILL");
      frames += produced();
      await until("what was made so far", () => got.delivered + got.lost >= frames);
      await must("ip", "link", "delete", "vcan0");
      await stateIs("gone");
      await sendsAreRefused();
      await must("ip", "link", "add", "vcan0", "mtu", "72", "type", "vcan");
      await must("ip", "link", "set", "vcan0", "up");
      await stateIs("up");
    }
    // What passed before the edge had found the new interface nobody knows, and that is said, with the next frame.
    await must("cansend", "vcan0", "124#00");
    await until(
      "that it is said",
      () => got.unknown === rounds,
      undefined,
      () => JSON.stringify(got),
    );
    await balance("R22 deleted and made again,", frames + produced(), rounds);
  });

  it("R25 it is stopped while the bus goes on: what the kernel drops is told exactly", async () => {
    const atBegin = produced();
    edge.signal("SIGSTOP");
    await must("cangen", "vcan0", "-g", "0", "-I", "123", "-L", "8", "-n", `${OVERFLOW_FRAMES}`);
    edge.signal("SIGCONT");
    // The kernel tells its count with the next frame that it delivers.
    await until("the queue to be empty", () => got.delivered > 0);
    await must("cansend", "vcan0", "124#00");
    await until(
      "the count",
      () => got.lost > 0,
      undefined,
      () => JSON.stringify(got),
    );
    await balance("R25", produced() - atBegin);
  });
});
