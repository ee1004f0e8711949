import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import {
  FLAG_ECHO,
  FLAG_OWN,
  formatLogLine,
  FrameBatch,
  idFilter,
  isCanfleetError,
  parseFrame,
  type FrameParts,
} from "@canfleet/sdk";
import type { Clock } from "./clock.ts";
import { createPlayDriver, type PlayOptions } from "./play-driver.ts";
import { RecordingSink, until } from "./recording-sink.suite.ts";

const WALL_US = 1_800_000_000_000_000;

/** Time goes on only while somebody waits, and always by more than was asked for. */
class TestClock implements Clock {
  #nowUs = 0;
  #waits = 0;
  /** Goes to sleep for so long at the n-th wait, as a laptop does. */
  readonly #nap: { atWait: number; us: number } | undefined;

  constructor(nap?: { atWait: number; us: number }) {
    this.#nap = nap;
  }

  wallUs(): number {
    return WALL_US + Math.floor(this.#nowUs);
  }

  monotonicUs(): number {
    return this.#nowUs;
  }

  async wait(ms: number): Promise<void> {
    this.#waits++;
    this.#nowUs += ms * 1000 + 170;
    if (this.#waits === this.#nap?.atWait) this.#nowUs += this.#nap.us;
    await new Promise(setImmediate);
  }
}

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cf-play-"));
});
after(async () => {
  await rm(folder, { recursive: true });
});

let files = 0;
async function logFile(lines: readonly string[], suffix = ".log"): Promise<string> {
  const path = join(folder, `${files++}${suffix}`);
  const text = lines.join("\n") + "\n";
  await writeFile(path, suffix.endsWith(".gz") ? gzipSync(text) : text);
  return path;
}

/** Plays to the end; `at` has for each hand-over the time by the clock, µs. */
async function play(path: string, options: PlayOptions = {}): Promise<RecordingSink & { at: number[] }> {
  const clock = options.clock ?? new TestClock();
  const sink = Object.assign(new RecordingSink(), { at: [] as number[] });
  const keep = sink.frames.bind(sink);
  sink.frames = (batch) => {
    sink.at.push(clock.monotonicUs());
    keep(batch);
  };
  const bus = createPlayDriver(path, { clock, ...options });
  await bus.open(sink);
  await until(() => sink.ends > 0, "the play is over");
  await bus.close();
  assert.equal(sink.ends, 1);
  return sink;
}

const sinceStart = (sink: RecordingSink): number[] => sink.timestampsUs.map((timeUs) => timeUs - WALL_US);

/** 1700000000 and so many µs. */
const line = (us: number, frame: string, channel = "can0"): string =>
  `(${1700000000 + Math.floor(us / 1e6)}.${String(us % 1e6).padStart(6, "0")}) ${channel} ${frame}`;

describe("a played log", () => {
  it("keeps its own timing to the µs, without drift", async () => {
    const offsets = Array.from({ length: 500 }, (_, i) => i * 7003 + (i % 3) * 11);
    const sink = await play(await logFile(offsets.map((us) => line(us, "123#11"))));
    assert.deepEqual(sinceStart(sink), offsets);
    // Handed over when due or, by the timer's lateness, a little later, however long it plays.
    sink.at.forEach((atUs, i) => assert.ok(atUs >= offsets[i]! && atUs < offsets[i]! + 1200, `${atUs} ${offsets[i]}`));
  });

  it("keeps steps of 1 µs though reading the clocks takes longer, and less each time", async () => {
    class SlowClock extends TestClock {
      #delayUs = 40;

      override wallUs(): number {
        return super.wallUs() + (this.#delayUs = Math.floor(this.#delayUs / 2));
      }
    }
    const path = await logFile([0, 1, 2, 3].map((us) => line(us, "123#11")));
    const times = (await play(path, { clock: new SlowClock() })).timestampsUs;
    assert.deepEqual(
      times.map((timeUs) => timeUs - times[0]!),
      [0, 1, 2, 3],
    );
  });

  it("hands over together what is due together", async () => {
    const sink = await play(await logFile([0, 100, 5000, 5010, 5020, 9000].map((us) => line(us, "123#"))));
    assert.deepEqual(
      sink.batches.map((batch) => batch.count),
      [1, 1, 3, 1],
    );
  });

  it("plays faster and slower", async () => {
    const path = await logFile([0, 10_000, 30_000].map((us) => line(us, "123#")));
    assert.deepEqual(sinceStart(await play(path, { speed: 10 })), [0, 1000, 3000]);
    assert.deepEqual(sinceStart(await play(path, { speed: 0.5 })), [0, 20_000, 60_000]);
  });

  it("plays at a fixed rate", async () => {
    const path = await logFile([0, 10, 900_000].map((us) => line(us, "123#")));
    assert.deepEqual(sinceStart(await play(path, { framesPerSecond: 100 })), [0, 10_000, 20_000]);
  });

  it("plays as fast as it can, without waiting", async () => {
    const count = 5000;
    const path = await logFile(Array.from({ length: count }, (_, i) => line(i * 1000, "123#")));
    const clock = new TestClock();
    const sink = await play(path, { speed: "max", clock });
    assert.equal(sink.count, count);
    assert.equal(clock.monotonicUs(), 0);
  });

  it("is played again and again, each time with its own timing", async () => {
    const path = await logFile([line(0, "001#"), line(4000, "002#")]);
    const sink = await play(path, { loop: 3 });
    assert.deepEqual(sink.texts, ["001#", "002#", "001#", "002#", "001#", "002#"]);
    assert.deepEqual(sinceStart(sink), [0, 4000, 5000, 9000, 10_000, 14_000]);
  });

  it("goes on without a burst after the machine has slept", async () => {
    const path = await logFile(Array.from({ length: 100 }, (_, i) => line(i * 100_000, "123#")));
    const sink = await play(path, { clock: new TestClock({ atWait: 20, us: 3600e6 }) });
    assert.ok(Math.max(...sink.batches.map(({ count }) => count)) <= 10);
    assert.equal(sink.count, 100);
  });

  it("takes time that goes back as no time, and keeps a log's own times when asked", async () => {
    const path = await logFile([line(5000, "001# T"), line(1000, "002#"), line(2000, "003#")]);
    assert.deepEqual(sinceStart(await play(path)), [0, 0, 1000]);
    const sink = await play(path, { originalTime: true });
    assert.deepEqual(sink.timestampsUs, [1700000000005000, 1700000000001000, 1700000000002000]);
    assert.deepEqual(sink.flags, [FLAG_OWN, 0, 0]);
    assert.deepEqual((await play(path)).flags, [0, 0, 0]);
  });

  it("does not wait out a clock that was wrong for a while, and cuts silences when asked", async () => {
    const wrong = 14 * 86400e6;
    const offsets = [wrong, wrong + 1000, 0, 2000, wrong - 5000, wrong - 4000];
    const path = await logFile(offsets.map((us) => line(us, "123#")));
    assert.deepEqual(sinceStart(await play(path)), [0, 1000, 1000, 3000, 3000, 4000]);
    const quiet = await logFile([0, 1000, 3600e6, 3600e6 + 500].map((us) => line(us, "123#")));
    assert.deepEqual(sinceStart(await play(quiet, { maxGapMs: 20 })), [0, 1000, 21_000, 21_500]);
  });

  it("is read from .gz, with any line end, and from one interface only", async () => {
    const path = await logFile([line(0, "001#\r"), line(1, "002#", "can1"), line(2, "003#")], ".log.gz");
    assert.deepEqual((await play(path)).texts, ["001#", "002#", "003#"]);
    assert.deepEqual((await play(path, { channel: "can0" })).texts, ["001#", "003#"]);
  });

  it("tells what candump lost, on its own interface", async () => {
    const drop = (channel: string): string => `DROPCOUNT: dropped 7 CAN frames on '${channel}' socket (total drops 9)`;
    const path = await logFile([line(0, "001#"), drop("can0"), drop("can1"), line(2, "003#")]);
    const sink = await play(path, { channel: "can0" });
    assert.deepEqual(sink.lossCalls, [7]);
    assert.equal(sink.count, 2);
  });

  it("tells what a recording of ours says was lost, unknown numbers too", async () => {
    const counted = "# lost 5 frames of can0 at edge, numbers 1-5 of epoch 1700000000000000";
    const unknown = "# lost an unknown number of frames of can0 at kernel";
    const known = await play(await logFile([line(0, "001#"), counted, line(2, "003#")]));
    assert.deepEqual(known.lossCalls, [5]);
    const sink = await play(await logFile([line(0, "001#"), unknown, line(2, "003#")]));
    assert.deepEqual(sink.lossCalls, [null]);
    assert.deepEqual([...known.warnings, ...sink.warnings], []);
  });

  it("names lines that are no frames by number, ten of them, and plays the rest", async () => {
    const bad = Array.from({ length: 13 }, (_, i) => line(i, "12#3"));
    const path = await logFile(["# a comment", line(0, "001#"), ...bad, line(9, "002#")]);
    const sink = await play(path, { loop: 2 });
    assert.deepEqual(sink.texts, ["001#", "002#", "001#", "002#"]);
    assert.equal(sink.warnings.length, 11);
    assert.match(sink.warnings[0]!, /line 3: .*3 or 8 hex digits/);
    assert.match(sink.warnings[10]!, /3 more lines/);
  });

  it("ends at once when it has no frame, however often it should be played", async () => {
    const sink = await play(await logFile(["# nothing"]), { loop: "forever" });
    assert.equal(sink.count, 0);
  });

  it("says so when reading fails on the way, and ends", async () => {
    const path = join(folder, "cut.log.gz");
    await writeFile(path, gzipSync(line(0, "123#") + "\n").subarray(0, -9));
    const sink = await play(path);
    assert.equal(sink.warnings.length, 1);
  });

  it("is closed in the middle, and says nothing more", async () => {
    const path = await logFile([line(0, "001#"), line(3600e6, "002#")]);
    const bus = createPlayDriver(path);
    const sink = new RecordingSink();
    await bus.open(sink);
    assert.equal(sink.count, 0);
    await until(() => sink.count === 1, "the first frame came");
    await bus.close();
    assert.equal(sink.ends, 0);
  });

  it("is refused when it cannot be read", async () => {
    for (const path of [join(folder, "no such file"), folder]) {
      const bus = createPlayDriver(path);
      await assert.rejects(bus.open(new RecordingSink()), (error) => isCanfleetError(error, "TEXT_NO_FILE"));
    }
  });

  const wrong: PlayOptions[] = [
    { speed: 0 },
    { speed: 101 },
    { loop: 0 },
    { loop: 1.5 },
    { framesPerSecond: 0 },
    { maxGapMs: -1 },
  ];
  for (const options of wrong) {
    it(`refuses ${JSON.stringify(options)}`, () => assert.throws(() => createPlayDriver("x", options), RangeError));
  }

  it("comes from the standard input, once", { timeout: 60_000 }, async () => {
    assert.throws(() => createPlayDriver("-", { loop: 2 }), RangeError);
    const driver = new URL("./play-driver.js", import.meta.url).href;
    const program = `
      const { createPlayDriver } = await import(process.argv[1]);
      let count = 0;
      await createPlayDriver("-").open({ frames: (b) => (count += b.count), lost() {}, link() {}, warning() {},
        end() { console.log(count); } });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program, driver]);
    let printed = "";
    child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    child.stdin.end([line(0, "001#"), line(1, "002#")].join("\n"));
    await until(() => printed !== "", "the child has played");
    assert.equal(printed, "2\n");
  });
});

describe("sends to a played log", () => {
  it("come back as echoes, in order, through the filters", async () => {
    const bus = createPlayDriver(await logFile([line(0, "001#"), line(3600e6, "001#")]));
    const sink = new RecordingSink();
    const sent: FrameParts[] = ["100#01", "200#02", "100##103"].map(parseFrame);
    assert.deepEqual(bus.send(FrameBatch.of(...sent)).refusal, { kind: "down", errno: "ENETDOWN" });
    await bus.open(sink);
    bus.setFilters([idFilter(0x100, undefined, false)]);
    assert.deepEqual(bus.send(FrameBatch.of(...sent)), { accepted: 3 });
    assert.equal(sink.count, 0);
    await until(() => sink.count === 2, "the echoes came");
    assert.deepEqual(sink.texts, ["100#01", "100##103"]);
    assert.ok(sink.flags.every((flags) => (flags & (FLAG_OWN | FLAG_ECHO)) === (FLAG_OWN | FLAG_ECHO)));
    await bus.close();
  });
});

const DATA = process.env.CANFLEET_DATA ?? fileURLToPath(new URL("../../../../../shared/data", import.meta.url));
const REAL_LOG = join(DATA, "nmea2000-60s.log.gz");

describe("a real NMEA 2000 log of 60 s", () => {
  const skip = existsSync(REAL_LOG) ? false : "no nmea2000-60s.log.gz in CANFLEET_DATA or ../shared/data";
  it("is played frame by frame as it was recorded", { skip }, async () => {
    const sink = await play(REAL_LOG, { originalTime: true, speed: 100 });
    const expected = gunzipSync(readFileSync(REAL_LOG)).toString("latin1").trimEnd().split("\n");
    const played = sink.batches.flatMap((batch) =>
      Array.from({ length: batch.count }, (_, i) => formatLogLine(batch, i, "can0")),
    );
    assert.deepEqual(sink.warnings, []);
    assert.deepEqual(played, expected);
  });
});
