import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { formatLostLines } from "@canfleet/sdk";
import { canfleet, ownFolder, startHub, type Hub } from "./support/canfleet.ts";
import { Fleet } from "./support/fleet.ts";
import { ofCanUtils } from "./support/frame-text.ts";
import { firstDifference } from "./support/ledger.ts";
import { Program } from "./support/program.ts";
import { Candump, cansend } from "./support/strangers.ts";
import { until } from "./support/until.ts";

/** All that this can-utils can write in a log line and play again. */
const FRAMES = [
  "123#",
  "7FF#FFFFFFFFFFFFFFFF",
  "00000012#A1A2A3",
  "1FFFFFFF#0011223344556677",
  "321#R",
  "321#R5",
  "124##0AABBCC",
  `125##3${"404142434445464748494A4B4C4D4E4F".repeat(4)}`,
  "7FE#5E",
];

/** How the frames begin that show that a pipe is open. */
const PROBE = ofCanUtils("001#").split(":")[0]!;

describe("pipes to and from can-utils", () => {
  let hub: Hub;
  let fleet: Fleet;
  let onSource: Candump;
  let onTarget: Candump;

  before(async () => {
    hub = await startHub();
    fleet = await Fleet.connect(hub.url);
    canfleet("edge", "vcan0", "--hub", hub.url, "--name", "pi");
    await fleet.ready("pi", "vcan0");
    onSource = await Candump.start("vcan0");
    onTarget = await Candump.start("vcan1");
  });
  afterEach(() => {
    onSource.lines.length = onTarget.lines.length = 0;
  });
  after(async () => {
    await fleet.close();
    await Program.killAll();
  });

  async function arrives(): Promise<void> {
    await onTarget.seen(FRAMES.at(-1)!);
    // A late probe may still be on its way through the pipe.
    const delivered = onTarget.frames.filter((frame) => !frame.startsWith(PROBE));
    assert.equal(firstDifference(FRAMES.map(ofCanUtils), delivered), undefined);
    console.log(`produced ${FRAMES.length} delivered ${delivered.length}`);
  }

  it("canfleet dump -L feeds canplayer, which puts every frame on another bus", async () => {
    const player = Program.start("canplayer", ["vcan1=pi-vcan0"]);
    const dump = canfleet("dump", "pi/vcan0", "-L", "--hub", hub.url).pipeTo(player);
    // dump is silent until its first frame; canplayer plays the times between frames as they were.
    let probes = 0;
    await until("the pipe", async () => {
      await cansend("vcan0", `001#${(probes++).toString(16).padStart(2, "0")}`);
      return onTarget.lines.length > 0;
    });
    await until("the probes", () => onTarget.frames.at(-1) === onSource.frames.at(-1));
    onTarget.lines.length = 0;
    await cansend("vcan0", ...FRAMES);
    await arrives();
    dump.signal("SIGINT");
    await dump.exit();
    assert.equal(await player.exit(), 0, player.stderr);
  });

  it("canplayer and log2asc pass over what a recording says is missing", async () => {
    const range = { epoch: 1_700_000_000_000_000, from: 0, to: 2 ** 40 };
    // The longest names there are.
    const channel = `${"e".repeat(64)}-${"b".repeat(64)}`;
    const lost = formatLostLines({ lost: { kernel: null, edge: 2 ** 40 }, range }, channel);
    const log = FRAMES.map((frame, i) => `${lost}(1700000000.00000${i}) can0 ${frame}\n`).join("") + lost;
    const file = join(ownFolder(), "lost.log");
    writeFileSync(file, log);
    const player = await Program.run("canplayer", ["-v", "-I", file, "vcan1=can0"]);
    assert.equal(player.ended, 0, player.stderr);
    await arrives();
    const asc = await Program.run("log2asc", ["-I", file, "can0"]);
    assert.equal(asc.ended, 0, asc.stderr);
    assert.equal(asc.lines.filter((line) => /\bRx\b/.test(line)).length, FRAMES.length, asc.lines.join("\n"));
  });

  it("candump -L feeds canfleet play, which puts every frame on another bus", async () => {
    const play = canfleet("play", "-", "vcan1=vcan0");
    const dump = Program.start("candump", ["-L", "vcan0"]).pipeTo(play);
    let probes = 0;
    await until("the pipe", async () => {
      await cansend("vcan0", `001#${(probes++).toString(16).padStart(2, "0")}`);
      return onTarget.lines.length > 0;
    });
    await until("the probes", () => onTarget.frames.at(-1) === onSource.frames.at(-1));
    onTarget.lines.length = 0;
    await cansend("vcan0", ...FRAMES);
    await arrives();
    dump.signal("SIGINT");
    assert.equal(await play.exit(), 0, play.stderr);
  });
});
