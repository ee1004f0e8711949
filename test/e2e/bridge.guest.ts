import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { canfleet, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofCanUtils, type FrameText } from "./support/frame-text.ts";
import { Program } from "./support/program.ts";
import { Candump, cansend } from "./support/strangers.ts";
import { until } from "./support/until.ts";

/** What a bus carried, without the probes: one of them may be printed late. */
function framesOf(dump: Candump): FrameText[] {
  return dump.frames.filter((frame) => !/^0000000[01]:/.test(frame));
}

describe("bridges", () => {
  let hub: Hub;
  let fleet: Fleet;
  let first: Program;
  const dumps: Candump[] = [];

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    canfleet("edge", "vcan0", "--hub", hub.url, "--name", "pi", "--send", "all");
    await fleet.ready("pi", "vcan0");
    for (const channel of ["vcan0", "vcan1", "vcan2"]) dumps.push(await Candump.start(channel));
    first = canfleet("bridge", "pi/vcan0", "vcan1", "--hub", hub.url);
  });
  afterEach(() => {
    for (const dump of dumps) dump.lines.length = 0;
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  /** Sends probes until one is seen on the other bus, and then until all have stopped moving there. */
  async function whenJoined(from: string, dump: Candump): Promise<void> {
    let probes = 0;
    const probe = (): string => `00${from.at(-1)!}#${(probes - 1).toString(16).toUpperCase().padStart(2, "0")}`;
    await until(`a bridge from ${from}`, async () => {
      if (first.ended !== undefined) throw new Error(`the bridge ended with ${first.ended}: ${first.stderr}`);
      probes++;
      await cansend(from, probe());
      return dump.lines.length > 0;
    });
    await dump.seen(probe());
    for (const one of dumps) one.lines.length = 0;
  }

  it("mirror a remote bus onto a local one, both ways, each frame once", async () => {
    await whenJoined("vcan0", dumps[1]!);
    await whenJoined("vcan1", dumps[0]!);
    const frames = ["123#AABB", "00000012#A1", "321#R5", "124##3AABBCC"];
    await cansend("vcan0", ...frames, "7F0#5E");
    await dumps[1]!.seen("7F0#5E");
    await cansend("vcan1", ...frames, "7F1#5E");
    await dumps[0]!.seen("7F1#5E");
    // A frame that went in a circle would be back on its bus before a later one has made the whole way.
    await cansend("vcan0", "7F2#5E");
    await dumps[1]!.seen("7F2#5E");
    await cansend("vcan1", "7F3#5E");
    await dumps[0]!.seen("7F3#5E");
    const expected = [...frames, "7F0#5E", ...frames, "7F1#5E", "7F2#5E", "7F3#5E"].map(ofCanUtils);
    assert.deepEqual(framesOf(dumps[0]!), expected);
    assert.deepEqual(framesOf(dumps[1]!), expected);
    console.log(
      `produced ${expected.length} delivered ${framesOf(dumps[0]!).length} and ${framesOf(dumps[1]!).length}`,
    );
  });

  it("are refused, with the ring named, when they would let frames travel in a circle", async () => {
    const twin = canfleet("bridge", "vcan1", "pi/vcan0", "--hub", hub.url);
    assert.notEqual(await twin.exit(), 0);
    assert.match(twin.stderr, /ring: .*vcan1.*pi\/vcan0.*vcan1/);
    const second = canfleet("bridge", "vcan1", "vcan2", "--hub", hub.url);
    await whenJoined("vcan1", dumps[2]!);
    const third = canfleet("bridge", "vcan2", "pi/vcan0", "--hub", hub.url);
    assert.notEqual(await third.exit(), 0);
    assert.match(third.stderr, /ring: .*vcan2.*pi\/vcan0.*vcan1.*vcan2/);
    assert.equal(await second.stop("SIGINT"), 0, second.stderr);
    assert.equal(await first.stop("SIGINT"), 0, first.stderr);
  });
});
